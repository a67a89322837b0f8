/** Taking in a file: which, how it reads, which column is what, which rows are mended, and the order to write it. */
import { type Failure, failureOf, type FileArgs, type FileMode, type ImportSummary, type RowEdit } from '../../../bridge'
import type { Desk } from '../../../state/desk.svelte'
import { Attempt } from './attempt.svelte'
import { withCells, withSwap } from './edits'
import { firstGroup, guessLayer, NEW_LAYER, stemOf, type TargetChoice, targetOf } from './target'

export const FILE_STEPS = ['file', 'read', 'mapping', 'preview', 'confirm'] as const

export class FileIntake {
  readonly kind = 'file'
  readonly steps = FILE_STEPS
  step = $state(0)
  reached = $state(0)
  path = $state('')
  target: TargetChoice = $state() as TargetChoice
  mode = $state<FileMode>('replace')
  crs = $state<number | null>(null)
  table = $state<string | null>(null)
  edits = $state.raw<RowEdit[]>([])
  sending = $state(false)
  failure = $state.raw<Failure | null>(null)
  summary = $state.raw<ImportSummary | null>(null)
  readonly attempt: Attempt
  /** What the last trial was asked for. */
  #tried = ''
  #triedPath = ''
  #targetTouched = false

  constructor(readonly desk: Desk) {
    this.target = { layer: '', title: '', kind: 'other', group: firstGroup(desk.model.profile.groups) }
    this.attempt = new Attempt(desk, () => desk.core.act('try_file', this.args()))
  }

  /** Another file: how the last one was read does not count for it. */
  choose(path: string): void {
    this.path = path
    this.failure = null
    if (!this.#targetTouched) {
      const layer = guessLayer(path, this.desk.model.layers.filter((layer) => layer.allowed))
      this.target = { ...this.target, layer, title: stemOf(path) }
    } else if (this.target.layer === NEW_LAYER && this.target.title === '') {
      this.target = { ...this.target, title: stemOf(path) }
    }
  }

  aim(target: TargetChoice): void {
    this.#targetTouched = true
    this.target = target.layer === NEW_LAYER && target.title === '' ? { ...target, title: stemOf(this.path) } : target
  }

  args(): FileArgs {
    const target = targetOf(this.target)
    if (!target) throw new Error('a file without a target is not asked for')
    return {
      path: this.path.trim(), target, mode: this.mode, map: { ...this.attempt.mapping }, edits: [...this.edits],
      ...(this.crs === null ? {} : { crs: this.crs }), ...(this.table === null ? {} : { table: this.table }),
    }
  }

  /** The system that the file's numbers more likely are in, when it says none or another. */
  get proposed(): number | null {
    const { failure, trial } = this.attempt
    if (failure?.code === 'crs_unknown') return Number(/\d+/.exec(failure.where.propose ?? '')?.[0]) || null
    return failure === null && trial?.likely_crs !== trial?.crs ? (trial?.likely_crs ?? null) : null
  }

  readIn(crs: number | null): void {
    this.crs = crs
    void this.attempt.now()
  }

  readTable(table: string): void {
    this.table = table
    this.edits = []
    this.attempt.mapping = {}
    void this.attempt.now()
  }

  swap(rows: readonly number[]): void {
    this.#edit(withSwap(this.edits, rows))
  }

  mend(row: number, now: Readonly<Record<string, string>>, said: Readonly<Record<string, string>>): void {
    this.#edit(withCells(this.edits, row, now, said))
  }

  undo(): void {
    this.#edit([])
  }

  #edit(edits: RowEdit[]): void {
    this.edits = edits
    void this.attempt.now()
  }

  get canGoOn(): boolean {
    if (this.step === 0) return this.path.trim() !== '' && targetOf(this.target) !== null
    if (this.step === 4) return !this.sending && this.summary === null
    return this.attempt.ready
  }

  async next(): Promise<void> {
    if (!this.canGoOn) return
    if (this.step === 4) return this.write()
    if (this.step === 0) this.#read()
    this.#go(this.step + 1)
  }

  /** Tries the file, unless it was tried for the same target. */
  #read(): void {
    const { path, target } = this.args()
    const asked = JSON.stringify(target)
    if (path === this.#triedPath && asked === this.#tried && this.attempt.failure === null) return
    if (path !== this.#triedPath) {
      this.crs = null
      this.table = null
      this.edits = []
    }
    this.#triedPath = path
    this.#tried = asked
    this.attempt.reset()
    void this.attempt.now()
  }

  back(): void {
    if (this.step > 0) this.go(this.step - 1)
  }

  /** To a step that was reached before. */
  go(step: number): void {
    if (step > this.reached || this.summary) return
    // Another file or layer has to be read before it can be seen or written.
    if (step === 0) this.reached = 0
    this.#go(step)
  }

  #go(step: number): void {
    this.failure = null
    this.step = step
    this.reached = Math.max(this.reached, step)
  }

  async write(): Promise<void> {
    this.sending = true
    this.failure = null
    try {
      this.summary = await this.desk.core.act('import_file', this.args())
    } catch (reason) {
      this.failure = failureOf(reason)
    } finally {
      this.sending = false
    }
  }

  stop(): void {
    this.attempt.stop()
  }

  /** Goes on where it was stopped. */
  resume(): void {
    if (this.attempt.stale) void this.attempt.now()
  }
}
