/**
 * The map: state in, map out.
 *
 * The window tells a `ProvinceMap` which layers there are, what the person chose, and the live states as they come; the
 * map draws them after DESIGN.md's "Map symbology" and reports camera, pointer, choice and failures through callbacks.
 * This folder alone imports maplibre-gl. It does not know the core, its commands, or anything about panels.
 *
 *   `style`, `layers`, `basemap`, `points`  layer list → style, a pure composition from the design tokens (`tokens`)
 *   `under`                                 maps of others under the layers
 *   `apply`                                 the difference between two compositions → calls on the map
 *   `data`, `live`                          features and live states → sources, one update a frame
 *   `symbols`, `draw`, `icons`              names of marks → pictures, drawn when first asked for
 *   `select`, `scale`, `fonts`              hit testing, scale arithmetic, letters
 */
export { ProvinceMap } from './province-map'
export { scaleBar } from './scale'
export type {
  LiveRecord, MapCallbacks, MapLanguage, MapOptions, MapPadding, MapTheme,
} from './types'
