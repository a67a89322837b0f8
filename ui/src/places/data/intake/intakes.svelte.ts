/** What is being taken in at a desk. Survives a look at the map and a sign-in: what was entered is kept until it is given up. */
import type { Desk } from '../../../state/desk.svelte'
import { FileIntake } from './file-intake.svelte'
import { SourceIntake } from './source-intake.svelte'

export type Intake = SourceIntake | FileIntake

export class Intakes {
  /** The one in sight. */
  shown = $state.raw<Intake | null>(null)
  #drafts: { source: SourceIntake | null; file: FileIntake | null } = { source: null, file: null }

  constructor(private readonly desk: Desk) {}

  open(kind: Intake['kind']): Intake {
    if (this.shown && this.shown.kind !== kind) this.shown.stop()
    if (kind === 'source') this.shown = this.#drafts.source ??= new SourceIntake(this.desk)
    else this.shown = this.#drafts.file ??= new FileIntake(this.desk)
    this.shown.resume()
    return this.shown
  }

  /** Takes in a file that was dropped here; one that is being written is not disturbed. */
  openFile(path: string): FileIntake | null {
    const draft = this.#drafts.file
    if (draft?.sending) return null
    if (draft && (draft.summary || draft.step > 0)) {
      draft.stop()
      this.#drafts.file = null
    }
    const intake = this.open('file')
    if (intake.kind !== 'file') return null
    intake.choose(path)
    return intake
  }

  /** Takes in mended rows: into their layer, over the features of the same key. */
  mend(path: string, layer: string): void {
    const intake = this.openFile(path)
    if (!intake) return void this.open('file')
    intake.aim({ ...intake.target, layer })
    intake.mode = 'upsert'
  }

  /** Out of sight; what was entered is kept. */
  hide(): void {
    this.shown?.stop()
    this.shown = null
  }

  /** Out of sight for good. */
  discard(): void {
    if (this.shown?.kind === 'source') this.shown.giveUp()
    if (this.shown) this.#drafts[this.shown.kind] = null
    this.hide()
  }
}

const known = new WeakMap<Desk, Intakes>()

/** The one of this desk. */
export function intakesOf(desk: Desk): Intakes {
  let intakes = known.get(desk)
  if (!intakes) known.set(desk, (intakes = new Intakes(desk)))
  return intakes
}
