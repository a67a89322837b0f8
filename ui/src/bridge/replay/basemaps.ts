/** Made-up base maps: one of the profile whose source does not answer, and whatever is added from an address. */
import type { Acts, BasemapInfo, Event, Settings } from '../types'

const OFFLINE = { status: 'offline', since: '2026-11-23T07:00:00Z', error: 'h không trả lời', oldest_shown: '2026-11-20T07:00:00Z' } as const
const OK = { status: 'ok', since: null, error: null, oldest_shown: null } as const

function basemap(id: string, title: string, more: Partial<BasemapInfo> = {}): BasemapInfo {
  return {
    id, title: { vi: title, en: title }, protocol: 'wms', url: 'http://127.0.0.1:8080/wms', layer: 'nen', style: null,
    sample: true, practice: false, added: true, chosen: false,
    tiles: { vector: false, min_zoom: 0, max_zoom: 18, bounds: null, tile_size: 512, vector_layers: [], local: false },
    attribution: [{ text: '© Sở Nông nghiệp và Môi trường' }], licence: null,
    state: { basemap: id, layer: null, ...OK },
    kept: { tiles: 0, preloaded: 0, bytes: 0, oldest: null, newest: null }, areas: [], ...more,
  }
}

type Call = 'choose_basemap' | 'recognise_basemap' | 'add_basemap' | 'remove_basemap' | 'clear_basemap' | 'preload_basemap'
type Handlers = { [K in Call]: (args: Acts[K]['args']) => Acts[K]['result'] }

export class ReplayBasemaps {
  list: BasemapInfo[] = [
    basemap('anh_ve_tinh', 'Ảnh vệ tinh 2025', {
      added: false, state: { basemap: 'anh_ve_tinh', layer: null, ...OFFLINE },
      kept: { tiles: 1_204, preloaded: 1_024, bytes: 31_400_000, oldest: '2026-11-20T07:00:00Z', newest: '2026-11-22T07:00:00Z' },
    }),
  ]
  readonly acts: Handlers

  constructor(tell: (event: Event) => void, settings: (change: Partial<Settings>) => Settings) {
    const put = (list: BasemapInfo[]) => {
      this.list = list
      tell({ event: 'basemaps', basemaps: list })
    }
    this.acts = {
      choose_basemap: ({ basemap }) => {
        put(this.list.map((one) => ({ ...one, chosen: one.id === basemap })))
        return settings({ basemap })
      },
      recognise_basemap: ({ url }) => ({
        protocol: 'wms', url, title: 'Bản đồ nền của tỉnh', chosen: null,
        layers: [{ name: 'nen', title: 'Nền địa hình', styles: [] }, { name: 'anh', title: 'Ảnh máy bay', styles: [] }],
      }),
      add_basemap: ({ url, title, layer }) => {
        const added = basemap(`them_${this.list.length}`, title ?? url, { url, layer: layer ?? null })
        put([...this.list, added])
        return added
      },
      remove_basemap: ({ basemap }) => (put(this.list.filter((one) => one.id !== basemap)), null),
      clear_basemap: ({ basemap }) => {
        const none = { tiles: 0, preloaded: 0, bytes: 0, oldest: null, newest: null }
        return (put(this.list.map((one) => (one.id === basemap ? { ...one, kept: none, areas: [] } : one))), null)
      },
      preload_basemap: ({ min_zoom, max_zoom }) => ({ min_zoom, max_zoom, tiles: 640, bytes: 16_000_000, room_bytes: 2_000_000_000 }),
    }
  }
}
