"""A panel's gates applied to a tube: boundaries from the sample, from people, or fixed."""
