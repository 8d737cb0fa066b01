// One task of a batch. What it reads lies in its task.json; what it says lies in the batch, and a copy here,
// so that a lost done-record can be had again from Nextflow's own cache.
process STEP {
    tag "${task_id}"

    input:
    // Fingerprint and the digests of what it reads from are here for the cache: who changes one runs it again.
    tuple val(task_id), val(assay), val(phase), val(memory_mb), val(fingerprint), val(before)

    output:
    tuple val(task_id), stdout, emit: ended
    path 'output.json'
    path 'done.json'

    script:
    """
    ${params.python} -m pipeline step ${params.batch}/tasks/${task_id}/task.json --copy .
    """
}
