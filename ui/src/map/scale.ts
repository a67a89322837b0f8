/** Scale arithmetic of the web Mercator map: pure numbers. */

const EQUATOR_M = 40_075_016.686
/** Edge of a tile in CSS pixels; zoom 0 shows the world in one tile. */
const TILE_PX = 512
/** A CSS pixel is 1/96 inch. */
const PIXEL_M = 0.0254 / 96

/** Ground metres per CSS pixel. */
export function metresPerPixel(zoom: number, latitude: number): number {
  return (EQUATOR_M * Math.cos((latitude * Math.PI) / 180)) / (TILE_PX * 2 ** zoom)
}

/** n of the scale 1:n on screen, three digits exact. */
export function scaleDenominator(zoom: number, latitude: number): number {
  const exact = metresPerPixel(zoom, latitude) / PIXEL_M
  const step = 10 ** Math.max(0, Math.floor(Math.log10(exact)) - 2)
  return Math.round(exact / step) * step
}

/** The longest round length (1, 2 or 5 times a power of ten, in metres) that fits into `maxPx`, and its width. */
export function scaleBar(denominator: number, maxPx: number): { metres: number; px: number } {
  const perPixel = denominator * PIXEL_M
  const most = perPixel * maxPx
  const power = 10 ** Math.floor(Math.log10(most))
  const metres = ([5, 2, 1].find((digit) => digit * power <= most) ?? 1) * power
  return { metres, px: metres / perPixel }
}
