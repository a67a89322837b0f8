/** What the search field found: features from the core, commands of the window, grouped for the list. */
import { failureOf, type FeatureDetail, type SearchHit } from '../../../bridge'
import { t, tt } from '../../../shared/i18n.svelte'
import type { Desk } from '../../../state/desk.svelte'
import { KINDS } from '../kinds'
import { type Command, commandsFor } from './commands'

const DEBOUNCE_MS = 60
const MOST_HITS = 40
const MOST_FAVOURITES = 8

export type Row =
  | { type: 'hit'; key: string; hit: SearchHit }
  | { type: 'favourite'; key: string; detail: FeatureDetail }
  | { type: 'command'; key: string; command: Command }

export interface RowGroup {
  title: string
  rows: Row[]
}

export class Search {
  text = $state('')
  open = $state(false)
  /** Index of the chosen row over all groups. */
  active = $state(0)
  hits = $state.raw<SearchHit[]>([])
  favourites = $state.raw<FeatureDetail[]>([])
  failure = $state<string | null>(null)
  /** The text the hits belong to. */
  answered = $state('')

  readonly #desk: Desk
  #timer: ReturnType<typeof setTimeout> | undefined
  #asked = 0

  constructor(desk: Desk) {
    this.#desk = desk
  }

  groups: RowGroup[] = $derived.by(() => {
    const groups: RowGroup[] = []
    const put = (title: string, row: Row) => {
      const group = groups.find((group) => group.title === title)
      if (group) group.rows.push(row)
      else groups.push({ title, rows: [row] })
    }
    // Groups stand in the order of their best hit, as the core ranked them.
    for (const hit of this.hits) put(t(KINDS[hit.kind].group), { type: 'hit', key: `${hit.layer}/${hit.id}`, hit })
    if (this.text.trim() === '') {
      for (const detail of this.favourites) {
        put(t('search.favourites'), { type: 'favourite', key: `${detail.layer}/${detail.id}`, detail })
      }
    }
    for (const command of commandsFor(this.#desk, this.text)) {
      put(t('search.commands'), { type: 'command', key: command.key, command })
    }
    return groups
  })
  rows: Row[] = $derived(this.groups.flatMap((group) => group.rows))
  pending: boolean = $derived(this.text.trim() !== this.answered)

  show(): void {
    if (this.open) return
    this.open = true
    this.active = 0
    void this.#readFavourites()
  }

  close(): void {
    this.open = false
  }

  type(text: string): void {
    this.text = text
    this.open = true
    this.active = 0
    clearTimeout(this.#timer)
    // Answers on their way belong to an older text by now.
    const mine = ++this.#asked
    if (text.trim() === '') {
      this.hits = []
      this.answered = ''
      this.failure = null
      return
    }
    this.#timer = setTimeout(() => void this.#ask(text.trim(), mine), DEBOUNCE_MS)
  }

  async #ask(text: string, mine: number): Promise<void> {
    try {
      const hits = await this.#desk.core.ask('search', { text, limit: MOST_HITS })
      if (mine !== this.#asked) return
      this.hits = hits
      this.failure = null
    } catch (reason) {
      if (mine !== this.#asked) return
      this.hits = []
      this.failure = failureOf(reason).message
    }
    this.answered = text
    this.active = 0
  }

  async #readFavourites(): Promise<void> {
    const refs = this.#desk.model.settings.favourites.slice(-MOST_FAVOURITES).reverse()
    const read = await Promise.allSettled(refs.map(({ layer, id }) => this.#desk.core.ask('feature', { layer, id })))
    // A starred feature may be gone, or belong to a layer this role does not see.
    this.favourites = read.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  }

  move(step: number): void {
    const { length } = this.rows
    if (length > 0) this.active = (this.active + step + length) % length
  }

  run(row: Row | undefined): void {
    if (!row) return
    this.close()
    if (row.type === 'hit') this.#desk.goTo({ layer: row.hit.layer, id: row.hit.id }, row.hit)
    else if (row.type === 'favourite') this.#desk.goTo({ layer: row.detail.layer, id: row.detail.id }, row.detail)
    else {
      this.type('')
      this.close()
      row.command.run()
    }
  }

  /** Which layer a row belongs to, as its second line may say. */
  layerTitle(id: string): string {
    const layer = this.#desk.layer(id)
    return layer ? tt(layer.title) : id
  }
}
