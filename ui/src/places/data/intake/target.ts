/** The layer that takes something in: one that is there, or a new one. */
import type { LayerInfo, LayerKind, Target } from '../../../bridge'
import { fold } from '../../../shared/fold'

/** A person's choice, also while it is not whole yet. */
export interface TargetChoice {
  /** Id of a layer; `NEW_LAYER`; empty while nothing is chosen. */
  layer: string
  title: string
  kind: LayerKind
  group: string
}

export const NEW_LAYER = '*new'

/** Kinds of a new layer, the plain one first. */
export const NEW_KINDS: readonly LayerKind[] = [
  'other', 'school', 'clinic', 'industrial_park', 'planning_zone', 'border_gate', 'camera', 'air_station', 'water_station',
  'wastewater_station', 'stack_station', 'water_level_station', 'communes', 'water', 'river', 'road', 'place',
]

/** The target as the core takes it; null while the choice is not whole. */
export function targetOf({ layer, title, kind, group }: TargetChoice): Target | null {
  if (layer === '') return null
  if (layer !== NEW_LAYER) return { to: 'layer', layer }
  return title.trim() === '' || group === '' ? null : { to: 'new', title: title.trim(), kind, group }
}

/** A file's name without folders and ending. */
export const stemOf = (path: string): string => nameOf(path).replace(/\.[^.]+$/, '')
export const nameOf = (path: string): string => path.split(/[/\\]/).at(-1) ?? path

/** The layer whose title or id a file's name holds; empty when none or several do. */
export function guessLayer(path: string, layers: readonly LayerInfo[]): string {
  const name = ` ${fold(stemOf(path))} `
  const named = layers.filter((layer) =>
    [layer.title.vi, layer.title.en, layer.id].some((title) => name.includes(` ${fold(title)} `)),
  )
  return named.length === 1 ? (named[0]?.id ?? '') : ''
}

/** The group that a new layer is put under at first: the first that is not the base map. */
export const firstGroup = (groups: readonly { id: string }[]): string =>
  (groups.find(({ id }) => id !== 'base') ?? groups[0])?.id ?? ''
