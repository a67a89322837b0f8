import { describe, expect, it } from 'vitest'
import { FAR_ZOOM, keepFarTiles, type Manager, type TileId } from './backdrop'

const id = (z: number, x: number, y: number): TileId => ({
  key: `${z}/${x}/${y}`, overscaledZ: z, scaledTo: (zoom) => id(zoom, x >> (z - zoom), y >> (z - zoom)),
})

/** MapLibre's tile manager in short: tiles in view, a cache, nearest parent in view held in a missing tile's stead. */
class Short implements Manager {
  view = new Map<string, { id: TileId; come: boolean }>()
  rest = new Map<string, { id: TileId; come: boolean }>()
  asked: string[] = []
  getTile = (at: TileId) => {
    const tile = this.view.get(at.key)
    return tile && { hasData: () => tile.come }
  }
  getLoadedTile = (at: TileId) => (this.view.get(at.key)?.come ? { hasData: () => true } : null)
  _outOfViewCache = { has: (at: TileId) => this.rest.has(at.key) }
  _addTile = (at: TileId) => {
    let tile = this.view.get(at.key) ?? this.rest.get(at.key)
    this.rest.delete(at.key)
    if (!tile) {
      this.asked.push(at.key)
      tile = { id: at, come: false }
    }
    this.view.set(at.key, tile)
    return { hasData: () => this.view.get(at.key)?.come ?? false }
  }
  _updateRetainedTiles(wanted: TileId[], _zoom: number): Record<string, TileId> {
    const held: Record<string, TileId> = {}
    for (const one of wanted) {
      held[one.key] = one
      if (this._addTile(one).hasData()) continue
      for (let z = one.overscaledZ - 1; z >= 5; z -= 1) {
        const parent = one.scaledTo(z)
        if (!this.getLoadedTile(parent)) continue
        held[parent.key] = parent
        break
      }
    }
    return held
  }
  /** One frame; gives what is in view after it. */
  update(...wanted: TileId[]): string[] {
    const held = this._updateRetainedTiles(wanted, 0)
    for (const [key, tile] of this.view) {
      if (held[key]) continue
      this.view.delete(key)
      if (tile.come) this.rest.set(key, tile)
    }
    return [...this.view.keys()].toSorted()
  }
  come(...keys: string[]): void {
    for (const key of keys) {
      const tile = this.view.get(key)
      if (tile) tile.come = true
    }
  }
}

const mended = (): Short => {
  const manager = new Short()
  keepFarTiles(manager)
  return manager
}

describe('the far tile beneath', () => {
  const [first, second] = [id(12, 3250, 1915), id(12, 3251, 1915)]
  const far = first.scaledTo(FAR_ZOOM).key

  it('is asked for with the first near tile, and stays until it has come', () => {
    const manager = mended()
    manager.update(first)
    expect(manager.asked.toSorted()).toEqual([first.key, far].toSorted())
    manager.come(first.key)
    expect(manager.update(first)).toContain(far)
    manager.come(far)
    expect(manager.update(first)).toEqual([first.key])
  })

  it('is drawn at once under a tile that has not come, and not asked for again', () => {
    const manager = mended()
    manager.update(first)
    manager.come(first.key, far)
    manager.update(first)
    expect(manager.update(first, second)).toEqual([first.key, second.key, far].toSorted())
    expect(manager.getLoadedTile(first.scaledTo(FAR_ZOOM))).toBeTruthy()
    manager.come(second.key)
    expect(manager.update(first, second)).toEqual([first.key, second.key])
    expect(manager.asked.filter((key) => key === far)).toHaveLength(1)
  })

  it('leaves the place to a nearer parent', () => {
    const manager = mended()
    manager.update(first.scaledTo(11))
    manager.come(first.scaledTo(11).key, far)
    manager.update(first.scaledTo(11))
    expect(manager.update(first)).toEqual([first.key, first.scaledTo(11).key].toSorted())
  })

  it('does nothing at its own zoom and above, nor twice, nor to insides it does not know', () => {
    const manager = mended()
    keepFarTiles(manager)
    manager.update(first.scaledTo(FAR_ZOOM), first.scaledTo(7))
    expect(manager.asked).toEqual([far, first.scaledTo(7).key])
    const strange = { getTile: () => undefined }
    keepFarTiles(strange)
    expect(Object.keys(strange)).toEqual(['getTile'])
    keepFarTiles(undefined)
  })
})
