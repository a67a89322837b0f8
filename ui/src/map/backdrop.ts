/**
 * No bare ground while one pans: under a tile that has not come yet, the far tile it lies in is drawn.
 *
 * MapLibre draws a parent in a tile's stead only when that parent is in view already, and never asks for one. Here every
 * vector source keeps the tiles of one low zoom within reach: asked for when their ground first comes into view, then
 * resting in the source's own cache of tiles, from where they are taken as soon as something nearer is missing.
 */
import type { Map as MapLibreMap } from 'maplibre-gl'

/** A tile of this zoom is about as wide as the province, which lies in four of them. */
export const FAR_ZOOM = 8

/** What is used of MapLibre's tile ids and tiles. */
export interface TileId {
  readonly key: string
  readonly overscaledZ: number
  scaledTo(zoom: number): TileId
}
interface Tile {
  hasData(): boolean
}

/** MapLibre 6.17's `TileManager`, as far as it is used here. */
export interface Manager {
  getTile(id: TileId): Tile | undefined
  getLoadedTile(id: TileId): Tile | null
  _addTile(id: TileId): Tile
  _outOfViewCache: { has(id: TileId): boolean }
  /** Takes the tiles that should be seen, and says which ones to hold. */
  _updateRetainedTiles(wanted: TileId[], zoom: number): Record<string, TileId>
}

const mended = new WeakSet<Partial<Manager>>()

export function keepFarTiles(manager: Partial<Manager> | undefined): void {
  if (!manager || mended.has(manager) || !usable(manager)) return
  mended.add(manager)
  const update = manager._updateRetainedTiles.bind(manager)
  manager._updateRetainedTiles = (wanted, zoom) => {
    const far = new Map<string, TileId>()
    for (const id of wanted) {
      if (id.overscaledZ <= FAR_ZOOM) continue
      const above = id.scaledTo(FAR_ZOOM)
      far.set(above.key, above)
      if (!manager.getLoadedTile(id) || !manager._outOfViewCache.has(above)) manager._addTile(above)
    }
    // Takes the nearest parent that is there, which now may be the far one.
    const held = update(wanted, zoom)
    // One that is still on its way must not be sent back; once here, it rests in the cache when nobody holds it.
    for (const id of far.values()) if (manager.getTile(id)?.hasData() === false) held[id.key] = id
    return held
  }
}

/** Whether MapLibre's insides still have these names; without them one sees bare ground, as before. */
function usable(manager: Partial<Manager>): manager is Manager {
  const { getTile, getLoadedTile, _addTile, _updateRetainedTiles, _outOfViewCache } = manager
  const methods = [getTile, getLoadedTile, _addTile, _updateRetainedTiles, _outOfViewCache?.has]
  return methods.every((one) => typeof one === 'function')
}

/** For every vector source of the map; call again when sources were added or the style is new. */
export function keepFarTilesOf(map: MapLibreMap, sources: Iterable<string>): void {
  const managers = (map.style as { tileManagers?: Record<string, Partial<Manager>> } | null)?.tileManagers
  for (const id of sources) if (map.getSource(id)?.type === 'vector') keepFarTiles(managers?.[id])
}
