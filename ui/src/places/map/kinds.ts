/** How each kind of layer is pictured and grouped in lists. */
import type { LayerKind } from '../../bridge'
import type { TextKey } from '../../shared/i18n.svelte'
import type { IconName } from '../../shared/icons'

interface Kind {
  icon: IconName
  /** Heading of search results. */
  group: Extract<TextKey, `kind.${string}`>
}

export const KINDS: Record<LayerKind, Kind> = {
  outline: { icon: 'landmark', group: 'kind.communes' },
  border: { icon: 'spline', group: 'kind.communes' },
  communes: { icon: 'landmark', group: 'kind.communes' },
  water: { icon: 'waves', group: 'kind.water' },
  river: { icon: 'waves', group: 'kind.water' },
  road: { icon: 'route', group: 'kind.road' },
  place: { icon: 'map-pin', group: 'kind.place' },
  air_station: { icon: 'shapes', group: 'kind.station' },
  water_station: { icon: 'droplets', group: 'kind.station' },
  wastewater_station: { icon: 'droplet', group: 'kind.station' },
  stack_station: { icon: 'factory', group: 'kind.station' },
  water_level_station: { icon: 'waves', group: 'kind.station' },
  camera: { icon: 'cctv', group: 'kind.camera' },
  school: { icon: 'graduation-cap', group: 'kind.social' },
  clinic: { icon: 'cross', group: 'kind.social' },
  industrial_park: { icon: 'warehouse', group: 'kind.economy' },
  planning_zone: { icon: 'land-plot', group: 'kind.planning' },
  border_gate: { icon: 'gate', group: 'kind.gate' },
  other: { icon: 'shapes', group: 'kind.other' },
}

/** Land-use codes that the legend of planning lots explains; each has a token `--lu-<code>`. */
export const LAND_USES = [
  'ODT', 'ONT', 'TMD', 'SKK', 'DGD', 'DYT', 'TSC', 'DKV', 'DGT', 'MNC', 'LUC', 'CLN', 'HNK',
] as const
