/** Adding a source: an address, what is behind it, where it goes, a trial, and the order to take it in. */
import { type AddedSource, type Credentials, type Failure, failureOf, type NewLayer, type NewSource, type Offer, type Recognised } from '../../../bridge'
import type { Desk } from '../../../state/desk.svelte'
import { Attempt, stopAsking } from './attempt.svelte'
import { Latest } from './latest'
import { Login, wantsLogin } from './login.svelte'
import { firstGroup, NEW_LAYER, type TargetChoice, targetOf } from './target'

export const SOURCE_STEPS = ['address', 'layers', 'mapping', 'preview', 'confirm'] as const
export const PERIODS = ['30s', '5m', '10m', '1h', '1d'] as const
export type Period = (typeof PERIODS)[number]

/** A collection that a service offers, and what is to become of it. */
export class Pick {
  ticked = $state(false)
  /** An OData filter over Things that do not name their layer. */
  things = $state('')
  target: TargetChoice = $state() as TargetChoice
  readonly attempt: Attempt
  /** What the last trial was asked for. */
  tried = ''

  constructor(
    readonly offer: Offer,
    intake: SourceIntake,
    group: string,
  ) {
    const kind = intake.recognised?.protocol === 'sensorthings' ? 'air_station' : 'other'
    this.target = { layer: offer.layer ?? NEW_LAYER, title: offer.title, kind, group }
    this.attempt = new Attempt(intake.desk, () =>
      intake.desk.core.act('try_source', { source: intake.source(), layer: this.order() }),
    )
  }

  order(): NewLayer {
    const target = targetOf(this.target)
    if (!target) throw new Error('a layer without a target is not asked for')
    const { collection } = this.offer
    const things = this.things.trim()
    return { ...(collection === null ? {} : { collection }), ...(things === '' ? {} : { things }), target, map: { ...this.attempt.mapping } }
  }
}

/** Why the choice of layers is not whole. */
export type ChoiceProblem = 'nothing_ticked' | 'no_target' | 'same_target' | 'no_title'

export class SourceIntake {
  readonly kind = 'source'
  readonly steps = SOURCE_STEPS
  step = $state(0)
  /** The farthest step so far; those before it can be gone back to. */
  reached = $state(0)
  url = $state('')
  recognising = $state(false)
  recognised = $state.raw<Recognised | null>(null)
  failure = $state.raw<Failure | null>(null)
  title = $state('')
  every = $state<Period>('10m')
  picks = $state.raw<Pick[]>([])
  /** Which of the ticked ones is looked at. */
  at = $state(0)
  sending = $state(false)
  added = $state.raw<AddedSource | null>(null)
  readonly login: Login
  readonly #address: Latest<Recognised>
  /** What the present answer, or the one awaited, was asked with. */
  #asked: { url: string; credentials?: Credentials } | null = null

  constructor(readonly desk: Desk) {
    this.login = new Login(desk)
    this.#address = new Latest(
      () => desk.core.act('recognise', this.#asked ?? { url: '' }),
      (answer) => {
        this.recognising = false
        if ('value' in answer) this.#take(answer.value)
        else {
          this.failure = failureOf(answer.reason)
          this.#asked = null
          if (wantsLogin(this.failure)) this.login.show(this.url)
        }
      },
    )
  }

  get ticked(): Pick[] {
    return this.picks.filter((pick) => pick.ticked)
  }

  get current(): Pick | null {
    return this.ticked[this.at] ?? null
  }

  get attempt(): Attempt | null {
    return this.current?.attempt ?? null
  }

  source(): NewSource {
    const { protocol, url, practice } = this.recognised ?? { protocol: 'file', url: this.url, practice: false }
    const { credentials } = this.login
    return { protocol, url, title: this.title.trim(), every: this.every, practice, ...(credentials ? { credentials } : {}) }
  }

  /** The address was written anew: what was found at the old one does not count. */
  write(url: string): void {
    this.url = url
    this.failure = null
    if (this.recognising) this.stop()
  }

  async recognise(): Promise<void> {
    const url = this.url.trim()
    if (url === '' || this.recognising) return
    const { login } = this
    login.meant(url)
    if (login.open && !login.whole) return
    const typed = login.open && login.secret !== ''
    this.failure = null
    this.recognising = true
    if (login.open && !(await login.keep(url))) {
      this.recognising = false
      return
    }
    const { credentials } = login
    const asked = { url, ...(credentials ? { credentials } : {}) }
    // A secret that was just typed is another question, under the same name.
    if (!typed && this.recognised && JSON.stringify(asked) === JSON.stringify(this.#asked)) {
      this.recognising = false
      return this.#go(1)
    }
    this.#asked = asked
    await this.#address.now()
  }

  #take(recognised: Recognised): void {
    for (const { attempt } of this.picks) attempt.stop()
    this.recognised = recognised
    this.title = this.#titleFor(recognised)
    const group = firstGroup(this.desk.model.profile.groups)
    this.picks = recognised.offers.map((offer) => new Pick(offer, this, group))
    for (const pick of this.picks) {
      pick.ticked = this.picks.length === 1 || (pick.offer.collection !== null && pick.offer.collection === recognised.chosen)
    }
    this.at = 0
    this.reached = 1
    this.step = 1
  }

  /** What the service calls itself; with its layer where a source of that name is there already. */
  #titleFor({ title, url, chosen, offers }: Recognised): string {
    const own = title?.trim() || hostOf(url)
    const taken = this.desk.model.sources.sources.some(({ title }) => Object.values(title).includes(own))
    const layer = offers.find(({ collection }) => collection !== null && collection === chosen)
    return taken && layer ? `${own}: ${layer.title}` : own
  }

  get problem(): ChoiceProblem | null {
    const { ticked } = this
    if (ticked.length === 0) return 'nothing_ticked'
    if (this.title.trim() === '') return 'no_title'
    if (ticked.some((pick) => targetOf(pick.target) === null)) return 'no_target'
    const layers = ticked.map(({ target }) => target.layer).filter((layer) => layer !== NEW_LAYER)
    return new Set(layers).size < layers.length ? 'same_target' : null
  }

  /** Looks at one of the ticked layers; it is tried unless it was, for the same target. */
  look(at: number): void {
    this.at = at
    const pick = this.current
    if (!pick) return
    const { target, things } = pick.order()
    const asked = JSON.stringify([this.source().url, target, things])
    if (asked === pick.tried && pick.attempt.failure === null) return
    if (asked !== pick.tried) pick.attempt.reset()
    pick.tried = asked
    void pick.attempt.now()
  }

  get canGoOn(): boolean {
    if (this.step === 0) return this.url.trim() !== '' && !this.recognising && (!this.login.open || this.login.whole)
    if (this.step === 1) return this.problem === null
    if (this.step === 4) return !this.sending && this.added === null
    // No warning in force is what a feed of warnings says most of the time.
    const calm = this.recognised?.protocol === 'cap' && this.attempt?.trial?.rows === 0 && !this.attempt.busy
    return (this.attempt?.ready || this.attempt?.untried || calm || this.#stationsYetUnknown) ?? false
  }

  /** Stations that name their layer may come with a later import: the source is added all the same. */
  get #stationsYetUnknown(): boolean {
    const { trial, busy, stale, failure } = this.attempt ?? {}
    return trial?.mappable === false && !busy && !stale && failure === null
  }

  async next(): Promise<void> {
    if (!this.canGoOn) return
    if (this.step === 0) return this.recognise()
    if (this.step === 4) return this.add()
    if (this.step === 1) {
      this.#go(2)
      this.look(0)
    } else if (this.step === 2 && this.at + 1 < this.ticked.length) this.look(this.at + 1)
    else {
      // Each of them is looked at from the first again.
      this.at = 0
      this.#go(this.step + 1)
    }
  }

  back(): void {
    if (this.step === 2 && this.at > 0) this.look(this.at - 1)
    else if (this.step > 0) this.go(this.step - 1)
  }

  /** To a step that was reached before. */
  go(step: number): void {
    if (step > this.reached || this.added) return
    // Another choice of layers has to be tried before it can be seen or added.
    if (step < 2) this.reached = step
    this.at = 0
    this.#go(step)
    if (step >= 2) this.look(0)
  }

  #go(step: number): void {
    this.failure = null
    this.step = step
    this.reached = Math.max(this.reached, step)
  }

  async add(): Promise<void> {
    this.sending = true
    this.failure = null
    try {
      const layers = this.ticked.map((pick) => pick.order())
      this.added = await this.desk.core.act('add_source', { source: this.source(), layers })
      this.login.handedOver()
    } catch (reason) {
      this.failure = failureOf(reason)
    } finally {
      this.sending = false
    }
  }

  /** Ends what is under way; nothing that was entered is lost. */
  stop(): void {
    if (this.recognising) {
      stopAsking(this.desk)
      this.#address.drop()
      this.recognising = false
      this.#asked = null
    }
    for (const { attempt } of this.picks) attempt.stop()
  }

  /** Given up: nothing of it stays behind. */
  giveUp(): void {
    this.login.forget()
  }

  /** Goes on where it was stopped. */
  resume(): void {
    if (this.step > 1 && this.attempt?.stale) void this.attempt.now()
  }
}

function hostOf(url: string): string {
  try {
    return new URL(url).host
  } catch {
    return url
  }
}
