/** Something on trial: asked again when its reading changes; the last answer stays in sight while the next is on its way. */
import { type Failure, failureOf, type Trial } from '../../../bridge'
import type { Desk } from '../../../state/desk.svelte'
import { Latest } from './latest'
import type { Mapping } from './mapping'

/** The jobs that trials and recognitions run as. */
export const INTAKE_JOBS: readonly string[] = ['trial', 'recognise']

/** Stops what is asked of systems and files; what they answered so far is not needed. */
export function stopAsking(desk: Desk): void {
  for (const job of desk.model.jobs) if (INTAKE_JOBS.includes(job.kind)) void desk.act('cancel_job', { id: job.id })
}

export class Attempt {
  trial = $state.raw<Trial | null>(null)
  failure = $state.raw<Failure | null>(null)
  busy = $state(false)
  mapping = $state.raw<Mapping>({})
  /** The present question has no answer yet. */
  stale = $state(false)
  readonly #latest: Latest<Trial>

  constructor(
    private readonly desk: Desk,
    ask: () => Promise<Trial>,
  ) {
    this.#latest = new Latest(ask, (answer) => {
      this.busy = false
      this.stale = false
      this.failure = 'reason' in answer ? failureOf(answer.reason) : null
      if ('value' in answer) this.trial = answer.value
    })
  }

  async now(): Promise<void> {
    this.#begin()
    await this.#latest.now()
  }

  /** Once the changes rest. */
  soon(): void {
    this.#begin()
    this.#latest.soon()
  }

  map(mapping: Mapping): void {
    if (mapping === this.mapping) return
    this.mapping = mapping
    this.soon()
  }

  /** Forgets everything, as if it had never been tried. */
  reset(): void {
    this.stop()
    this.trial = null
    this.failure = null
    this.stale = false
    this.mapping = {}
  }

  stop(): void {
    if (this.busy) stopAsking(this.desk)
    this.#latest.drop()
    this.busy = false
  }

  #begin(): void {
    if (this.busy) stopAsking(this.desk)
    this.busy = true
    this.stale = true
  }

  /** The core cannot try this protocol, and says so: it shows once it is added. */
  get untried(): boolean {
    return this.failure?.code === 'no_trial'
  }

  /** Good enough to go on with: there is an answer, to the present question, and something would be taken in. */
  get ready(): boolean {
    return !this.busy && !this.stale && this.failure === null && this.trial !== null && this.trial.accepted > 0
  }
}
