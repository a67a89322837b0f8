/** The keys of DESIGN.md that exist so far. */
import { tick } from 'svelte'
import type { Desk, Workplace } from '../../state/desk.svelte'
import { toggleTheme } from '../../state/look.svelte'

/** Marks what F6 walks through, in this order. */
const REGIONS = ['rail', 'panel', 'map', 'inspector', 'sources', 'intake', 'source-detail']

const find = (selector: string) => document.querySelector<HTMLElement>(selector)

export function focusSearch(): void {
  const field = find('[data-testid="search-input"]')
  field?.focus()
  if (field instanceof HTMLInputElement) field.select()
}

export function focusMap(): void {
  const map = find('[data-region="map"]')
  ;(map?.querySelector<HTMLElement>('canvas') ?? map)?.focus()
}

async function goTo(desk: Desk, workplace: Workplace, focus: () => void): Promise<void> {
  desk.workplace = workplace
  // What lies under another place takes no focus.
  await tick()
  focus()
}

/** The table's row that Tab reaches; the place itself while there is no source. */
function focusSources(): void {
  const region = find('[data-region="sources"]')
  ;(region?.querySelector<HTMLElement>('tr[tabindex="0"]') ?? region)?.focus()
}

/** Everything that acts from anywhere in the window; dialogs keep their keys for themselves. */
export function shortcuts(event: KeyboardEvent, desk: Desk): void {
  if (event.defaultPrevented || document.querySelector('dialog[open]')) return
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
  const run = action(event, typing, desk)
  if (!run) return
  event.preventDefault()
  run()
}

function action(event: KeyboardEvent, typing: boolean, desk: Desk): (() => void) | null {
  const { key, shiftKey, altKey } = event
  const ctrl = event.ctrlKey || event.metaKey
  if (ctrl && !altKey && key.toLowerCase() === 'k') return focusSearch
  if (ctrl && !altKey && key.toLowerCase() === 'l') return () => toggleTheme(desk)
  if (ctrl && !altKey && key === '1') return () => void goTo(desk, 'map', focusMap)
  if (ctrl && !altKey && key === '5') return () => void goTo(desk, 'data', focusSources)
  if (key === 'F6') return () => nextRegion(shiftKey ? -1 : 1)
  if (altKey && !ctrl && key.toLowerCase() === 's' && desk.workplace === 'map') return () => soloOfSelection(desk)
  if (typing || ctrl || altKey) return null
  if (desk.workplace !== 'map') return null
  if (key === '/') return () => find('[data-testid="layer-filter"]')?.focus()
  if (key === 'Escape' && desk.selection) return () => desk.select(null)
  return null
}

/** Shows the layer alone that the selection belongs to; once more, all again. */
function soloOfSelection(desk: Desk): void {
  const layer = desk.solo ?? desk.selection?.layer
  if (layer) desk.toggleSolo(layer)
}

function nextRegion(step: 1 | -1): void {
  const present = REGIONS.map((name) => find(`[data-region="${name}"]`)).filter(
    (region) => region !== null && region.closest('[inert]') === null,
  ) as HTMLElement[]
  const at = present.findIndex((region) => region.contains(document.activeElement))
  const next = present.at(at < 0 ? (step > 0 ? 0 : -1) : (at + step) % present.length)
  if (!next) return
  if (next.dataset.region === 'map') focusMap()
  else if (next.dataset.region === 'sources') focusSources()
  else (next.querySelector<HTMLElement>('button:enabled, input') ?? next).focus()
}
