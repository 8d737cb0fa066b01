// The tasks of a batch by rank: a task's rank is the length of the longest way to it through those it reads from.
// Each starts as soon as all of those have ended. One that failed emits nothing: who waits for it starts when
// the ranks before have ended, and says itself what it misses.
nextflow.enable.dsl = 2

include { STEP as STEP_0 } from './step.nf'
include { STEP as STEP_1 } from './step.nf'
include { STEP as STEP_2 } from './step.nf'
include { STEP as STEP_3 } from './step.nf'

// What STEP takes of a task, with the digests of the outputs it reads.
def step_input(given, before) {
    tuple(
        given.task_id, given.assay, given.phase, given.memory_mb, given.fingerprint,
        (given.before + before).sort()
    )
}

// For one ended task, its digest under the name of every task of this rank that reads from it.
def told(rank, task_id, digest) {
    params.tasks
        .findAll { given -> given.rank == rank && task_id in given.after }
        .collect { given -> tuple(groupKey(given.task_id, given.after.size() + 1), "${task_id} ${digest.trim()}") }
}

// The tasks of a rank, each when what it waits for has ended; ``ended`` emits name and digest.
def ready(rank, ended) {
    def by_name = params.tasks.collectEntries { given -> [(given.task_id): given] }
    Channel.fromList(params.tasks)
        .filter { given -> given.rank == rank }
        .map { given -> tuple(groupKey(given.task_id, given.after.size() + 1), '') }
        .mix(ended.flatMap { task_id, digest -> told(rank, task_id, digest) })
        .groupTuple(remainder: true)
        .map { key, before -> step_input(by_name[key.toString()], before.findAll { line -> line != '' }) }
}

workflow {
    STEP_0(Channel.fromList(params.tasks).filter { given -> given.rank == 0 }.map { given -> step_input(given, []) })
    STEP_1(ready(1, STEP_0.out.ended))
    STEP_2(ready(2, STEP_0.out.ended.mix(STEP_1.out.ended)))
    STEP_3(ready(3, STEP_0.out.ended.mix(STEP_1.out.ended, STEP_2.out.ended)))
}
