/**
 * The map's letters. The style names no glyph server, so MapLibre draws every letter from the fonts the page has
 * loaded: it takes the weight from the first name of a stack and the face from the second.
 */
import type { Map as MapLibreMap } from 'maplibre-gl'

const FACE = 'Be Vietnam Pro'

export const REGULAR = [`${FACE} Regular`, FACE]
export const MEDIUM = [`${FACE} Medium`, FACE]
export const SEMIBOLD = [`${FACE} SemiBold`, FACE]

/** Letters of every subset the faces come in. */
const SAMPLE = 'Ag0 Đơ Ẽự'
const PATIENCE_MS = 4000

/**
 * Resolves when the weights can be drawn. A letter drawn before its face has come would stay in the fallback face for
 * as long as the map lives.
 */
export async function fontsReady(): Promise<void> {
  const faces = [400, 500, 600, 700].map((weight) => document.fonts.load(`${weight} 16px '${FACE}'`, SAMPLE))
  const figures = document.fonts.load(`600 10px 'TC Tabular'`, '0123456789')
  const patience = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE_MS))
  await Promise.race([Promise.allSettled([...faces, figures]), patience])
}

interface Rasterized {
  glyphTop: number
}

interface GlyphManager {
  _createGlyph(id: string, drawn: Rasterized): unknown
}

/** What TinySDF's top is measured against in MapLibre 6.17 (`topAdjustment`), in the pixels of the rasterized glyph. */
const TOP_ORIGIN = 55

/**
 * Mends a slip of MapLibre 6.17: a letter whose top lies exactly at the origin gets `0 || -8` as its offset and sinks by
 * a third of its height. In our face that hits Ồ, Ố, Ễ and their kin. A thousandth of a pixel keeps them off the zero.
 * Call for every new style of the map; does nothing when MapLibre's insides have other names.
 */
export function mendTallLetters(map: MapLibreMap): void {
  const manager = (map.style as { glyphManager?: Partial<GlyphManager> } | null)?.glyphManager
  const create = manager?._createGlyph?.bind(manager)
  if (!manager || !create) return
  manager._createGlyph = (id, drawn) => create(id, drawn.glyphTop === TOP_ORIGIN ? { ...drawn, glyphTop: TOP_ORIGIN + 0.001 } : drawn)
}
