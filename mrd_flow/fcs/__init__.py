"""Reading and writing FCS and LMD files, and what is wrong with them."""
