/**
 * Development only: a core that lives in the page, fed by dev/replay-server.ts. Vite leaves this folder out of a build.
 * `?link=lost` shows the window without its data centre, `?fault` one source with an error, `?slow` answers late,
 * `?resting` lets one source rest, `?unrun` shows sources without a run, `?job` runs a job, `?open=air_stations/air-trang-bang` starts for one feature.
 */
import type { FeatureCollection } from 'geojson'
import { match } from '../../shared/fold'
import { recordOf } from '../batch'
import { CallFailed, type Core, type FileDrag, receive, type Watcher } from '../client'
import type {
  Acts, Asks, Event, FeatureDetail, FeatureRef, FeatureState, Job, LayerInfo, NearHit, Role, SearchHit, SourcesInfo,
  Start,
} from '../types'
import type { ReplayFeature } from './feature'
import { ReplayBasemaps } from './basemaps'
import { encodeBatch } from './encode'
import { ReplayIntake } from './intake'
import { readingsOf, seriesOf, stateOf, summaryOf } from './live'
import { distance, grid, inside } from './places'
import { rejectedOf, runsOf } from './runs'

const ROLES: Role[] = ['guest', 'viewer', 'planner', 'duty_officer', 'administrator']
const BANDS = ['Tốt', 'Trung bình', 'Kém', 'Xấu', 'Rất xấu', 'Nguy hại']
const TICK_MS = 2_000
const ADMINISTRATORS = [
  'recognise', 'try_source', 'add_source', 'remove_source', 'try_file', 'import_file', 'pause_source',
  'recognise_basemap', 'add_basemap', 'remove_basemap', 'clear_basemap',
]

type Handlers<Calls extends { [K in keyof Calls]: { args: unknown; result: unknown } }> = {
  [K in keyof Calls]: (args: Calls[K]['args']) => Calls[K]['result']
}

function fail(code: string, message: string): never {
  throw new CallFailed({ code, message, where: {} })
}

export async function replayCore(): Promise<Core> {
  const read = async <T>(path: string) => (await (await fetch(`/replay/${path}`)).json()) as T
  const { profile, layers } = await read<Pick<Start, 'profile' | 'layers'>>('start')
  const features = new Map(
    await Promise.all(
      layers.map(async (layer) => [layer.id, await read<ReplayFeature[]>(`features/${layer.id}`)] as const),
    ),
  )
  const shapes = new Map(
    await Promise.all(
      ['outline', 'communes'].map(async (layer) => [layer, await read<FeatureCollection>(`collection/${layer}`)] as const),
    ),
  )
  return new Replay(profile, layers, features, shapes)
}

class Replay implements Core {
  readonly tilesBase = `${location.origin}/replay/tiles`
  readonly #options = new URLSearchParams(location.search)
  readonly #paused = new Set<string>()
  readonly #since = Date.now()
  readonly #lost = this.#options.get('link') === 'lost'
  readonly #features: Map<string, ReplayFeature[]>
  readonly #communes: Map<string, string>
  readonly #asks: Handlers<Asks>
  readonly #acts: Handlers<Acts>
  readonly #intake: ReplayIntake
  readonly #basemaps: ReplayBasemaps
  #start: Start
  #running: ReturnType<typeof setInterval> | undefined
  #watcher: Watcher | null = null
  /** Ids of jobs beside the sync's own, which is 1. */
  #works = 100
  readonly #cancelled = new Set<number>()

  constructor(
    profile: Start['profile'],
    layers: LayerInfo[],
    features: Map<string, ReplayFeature[]>,
    shapes: Map<string, FeatureCollection>,
  ) {
    this.#features = features
    this.#communes = new Map(
      (features.get('communes') ?? []).map(({ properties }) => [String(properties.code), String(properties.full_name)]),
    )
    this.#start = {
      version: 'replay', home: '~/.local/share/toancanh', profile, layers, states: [],
      sources: { sources: [], link: 'unknown', lost: 0, as_of: null, practice: true },
      settings: { language: 'vi', theme: 'dark', text_scale: 1, epsg: null, layers: {}, camera: null, favourites: [], basemap: null, tile_cache_mb: 2000 },
      session: { name: '', role: 'guest' }, views: [], jobs: [], open: this.#asked(),
    }
    const intake = new ReplayIntake(() => this.#start.layers, features, (event) => this.#told(event), () => this.#job())
    this.#intake = intake
    this.#basemaps = new ReplayBasemaps(
      (event) => this.#tell(event),
      (change) => this.#put('settings', { ...this.#start.settings, ...change }),
    )
    this.#asks = {
      start: () => this.#first(),
      layers: () => this.#first().layers,
      sources: () => this.#sources(),
      search: ({ text, limit }) => this.#search(text, limit),
      feature: (ref) => this.#feature(ref),
      near: ({ lon, lat, within_m, limit, exclude }) =>
        this.#around([lon, lat], within_m).filter((hit) => hit.id !== exclude?.id).slice(0, limit),
      series: ({ layer, id, code, hours }) => {
        const found = this.#find({ layer, id })
        return seriesOf(found.layer, found.feature, code, hours, Date.now())
      },
      place: ({ lon, lat }) => ({ lon, lat, vn2000: this.#grid([lon, lat]), commune: null }),
      at: ({ lon, lat, layers, tolerance_m }) => this.#around([lon, lat], tolerance_m).filter((hit) => layers.includes(hit.layer)),
      query: ({ layer }) => {
        const found = shapes.get(layer)?.features ?? []
        return { type: 'FeatureCollection', numberMatched: found.length, numberReturned: found.length, features: found }
      },
      views: () => this.#start.views,
      basemaps: () => this.#basemaps.list,
      moved: () => null,
      source_runs: ({ source }) => this.#runs(source),
      rejected: ({ source }) => {
        if (this.#start.session.role === 'guest') fail('role_needed', 'Việc này cần quyền Người xem')
        return source === 'features' && !this.#options.has('unrun') ? rejectedOf(this.#layersOf(false), this.#since) : []
      },
    }
    this.#acts = {
      sign_in: ({ name, role, pin }) => {
        if (role === 'administrator' && pin === undefined) fail('pin_needed', 'Vai trò này cần mã PIN')
        if (role === 'administrator' && pin !== '1234') fail('pin_wrong', 'Mã PIN không đúng')
        return this.#put('session', { name, role })
      },
      sign_out: () => this.#put('session', { name: '', role: 'guest' }),
      set_pin: () => null,
      set_settings: ({ settings }) => this.#put('settings', settings),
      save_view: (view) => this.#put('views', [...this.#start.views, { ...view, id: `view-${Date.now()}` }]),
      delete_view: ({ id }) => this.#put('views', this.#start.views.filter((view) => view.id !== id)),
      sync: ({ source }) => (this.#job(source ?? null), null),
      ...intake.acts,
      ...this.#basemaps.acts,
      cancel_job: ({ id }) => (id > 100 ? this.#cancelled.add(id) : this.#end(id), null),
      ready: () => null,
      pause_source: ({ source, paused }) => (this.#pause(source, paused), null),
    }
  }

  async ask<K extends keyof Asks>(call: K, args: Asks[K]['args']): Promise<Asks[K]['result']> {
    await this.#wait()
    return this.#asks[call](args)
  }

  async act<K extends keyof Acts>(call: K, args: Acts[K]['args']): Promise<Acts[K]['result']> {
    await this.#wait()
    if (ADMINISTRATORS.includes(call) && this.#start.session.role !== 'administrator') {
      fail('role_needed', 'Việc này cần quyền Quản trị. Vào Cài đặt › Người ở bàn này để đổi vai trò.')
    }
    const kind = call === 'recognise' ? call : call.startsWith('try_') ? 'trial' : null
    if (kind !== null && !(await this.#work(kind))) fail('cancelled', 'Đã dừng theo yêu cầu; dữ liệu vẫn như trước.')
    return this.#acts[call](args)
  }

  watch(watcher: Watcher): Promise<void> {
    this.#watcher = watcher
    setInterval(() => this.#tick(), TICK_MS)
    if (this.#options.has('job')) this.#job()
    return Promise.resolve()
  }

  async pickFile(): Promise<string | null> {
    await this.#wait()
    return '/home/mai/Tải về/CSYT_thang11.xlsx'
  }

  /** A browser does not tell where a dropped file lies: a made-up folder stands for it. */
  onFiles(listener: (drag: FileDrag) => void): Promise<() => void> {
    const over = (event: DragEvent) => {
      event.preventDefault()
      listener({ state: 'over', paths: [] })
    }
    const drop = (event: DragEvent) => {
      event.preventDefault()
      listener({ state: 'dropped', paths: [...(event.dataTransfer?.files ?? [])].map(({ name }) => `/home/mai/${name}`) })
    }
    const leave = (event: DragEvent) => event.relatedTarget === null && listener({ state: 'gone', paths: [] })
    const ends = new AbortController()
    addEventListener('dragover', over, { signal: ends.signal })
    addEventListener('drop', drop, { signal: ends.signal })
    addEventListener('dragleave', leave, { signal: ends.signal })
    return Promise.resolve(() => ends.abort())
  }

  #asked(): FeatureRef | null {
    const [layer, id] = this.#options.get('open')?.split('/') ?? []
    return layer && id ? { layer, id } : null
  }

  #wait = () => new Promise((resolve) => setTimeout(resolve, this.#options.has('slow') ? 1_500 : 15))

  #put<K extends keyof Start>(key: K, value: Start[K]): Start[K] {
    this.#start = { ...this.#start, [key]: value }
    return value
  }

  #tell(event: Event): void {
    const text = new TextEncoder().encode(JSON.stringify(event))
    if (this.#watcher) receive(new Uint8Array([0, ...text]), this.#watcher)
  }

  #allowed = (layer: LayerInfo) => ROLES.indexOf(this.#start.session.role) >= ROLES.indexOf(layer.role)

  #states(layer: LayerInfo): FeatureState[] {
    const now = Date.now()
    return (this.#features.get(layer.id) ?? []).map((feature) => stateOf(layer, feature, now, this.#lost))
  }

  #first(): Start {
    const live = this.#start.layers.filter((layer) => layer.parameters.length > 0)
    const states = live.map((layer) => ({ layer: layer.id, version: layer.version, states: this.#states(layer) }))
    const layers = this.#start.layers.map((layer): LayerInfo => {
      const own = states.find((one) => one.layer === layer.id)
      const allowed = this.#allowed(layer)
      if (!own || !allowed) return { ...layer, allowed }
      return { ...layer, allowed, live: summaryOf(layer, own.states), freshness: this.#lost ? 'offline' : 'fresh' }
    })
    return { ...this.#start, layers, states, sources: this.#sources() }
  }

  #pause(source: string, paused: boolean): void {
    if (paused) this.#paused.add(source)
    else this.#paused.delete(source)
    this.#tell({ event: 'sources', sources: this.#sources() })
  }

  #layersOf = (measured: boolean) =>
    this.#start.layers.filter((layer) => layer.group !== 'base' && layer.parameters.length > 0 === measured).map(({ id }) => id)

  #runs = (source: string) => {
    const known = source === 'features' || source === 'stations'
    const count = this.#options.has('unrun') || !known ? 0 : source === 'features' ? 30 : 6
    return runsOf(source, this.#layersOf(source === 'stations'), this.#since, count)
  }

  #sources(): SourcesInfo {
    const now = new Date().toISOString()
    const since = this.#lost ? new Date(Date.now() - 10 * 60_000).toISOString() : null
    const link = this.#lost ? 'lost' : 'up'
    const title = { vi: 'Trung tâm dữ liệu thực hành', en: 'Practice data centre' }
    const live = { vi: `${title.vi}: số đo trực tiếp`, en: `${title.en}: live observations` }
    const fault = this.#options.has('fault')
    const resting = this.#options.has('resting')
    const common = (id: string) => ({
      id, practice: true, added: false, link, answered_at: since ?? now, lost_at: since, paused: this.#paused.has(id),
      breaker: resting && id === 'features' ? 'open' : 'closed',
      resting_until: resting && id === 'features' ? new Date(this.#since + 900_000).toISOString() : null,
      next_run_at: this.#paused.has(id) || id === 'stations' ? null : new Date(this.#since + 300_000).toISOString(),
      login: null,
      runs: this.#runs(id).map((run) => run.outcome).reverse(),
    }) as const
    return {
      link, lost: this.#lost ? 1 : 0, as_of: since ?? now, practice: true,
      sources: [
        {
          ...common('features'), title, protocol: 'ogc-api-features', url: 'http://127.0.0.1:8700/ogc',
          freshness: fault ? 'error' : 'fresh', next_try_at: fault ? new Date(Date.now() + 60_000).toISOString() : null,
          last_error: fault ? '127.0.0.1:8700 trả lời 502 Bad Gateway cho /ogc/collections/schools/items' : null,
          layers: this.#layersOf(false),
        },
        {
          ...common('stations'), title: live, protocol: 'sensorthings', url: 'http://127.0.0.1:8700/sensorthings/v1.1',
          freshness: 'fresh', next_try_at: null, last_error: null, layers: this.#layersOf(true),
        },
        ...this.#intake.added,
      ],
    }
  }

  #tick(): void {
    for (const layer of this.#start.layers) {
      if (layer.parameters.length === 0 || !this.#allowed(layer)) continue
      const some = this.#states(layer).filter(() => Math.random() < 0.2)
      const batch = { layer: layer.id, version: layer.version, records: some.map(recordOf) }
      if (this.#watcher) receive(encodeBatch(batch), this.#watcher)
    }
    this.#tell({ event: 'sources', sources: this.#sources() })
  }

  #jobOf = (id: number, done: number, source: string | null = null) =>
    ({ id, kind: 'sync', source, title: { vi: 'Cập nhật trường học', en: 'Updating schools' }, done, total: 20, state: 'running' }) as const

  /** A layer that came by an intake is also there at the next start. */
  #told(event: Event): void {
    if (event.event === 'layer') this.#start = { ...this.#start, layers: [...this.#start.layers, event.layer] }
    this.#tell(event)
  }

  /** A job for as long as a trial takes; false when it was cancelled. */
  async #work(kind: string): Promise<boolean> {
    const id = ++this.#works
    const job: Job = {
      id, kind, source: null, title: { vi: 'Đọc thử', en: 'Trying' }, done: 0, total: this.#options.has('slow') ? 20 : 2, state: 'running',
    }
    for (let done = 0; done < job.total; done++) {
      this.#tell({ event: 'job', job: { ...job, done } })
      await new Promise((resolve) => setTimeout(resolve, 150))
      if (this.#cancelled.has(id)) break
    }
    this.#tell({ event: 'job', job: { ...job, state: this.#cancelled.has(id) ? 'cancelled' : 'done' } })
    return !this.#cancelled.has(id)
  }

  #job(source: string | null = null): void {
    let done = 0
    clearInterval(this.#running)
    this.#running = setInterval(() => {
      done++
      this.#tell({ event: 'job', job: { ...this.#jobOf(1, done, source), state: done < 20 ? 'running' : 'done' } })
      if (done === 20) clearInterval(this.#running)
    }, 500)
  }

  #end(id: number): void {
    clearInterval(this.#running)
    this.#tell({ event: 'job', job: { ...this.#jobOf(id, 0), state: 'cancelled' } })
  }

  #grid = (point: [number, number]) => this.#start.profile.crs.map((crs) => grid(crs.epsg, crs.meridian, point))

  #find({ layer: id, id: featureId }: FeatureRef): { layer: LayerInfo; feature: ReplayFeature } {
    const layer = this.#start.layers.find((layer) => layer.id === id)
    const feature = this.#features.get(id)?.find((feature) => feature.id === featureId)
    if (!layer || !feature) return fail('unknown_feature', `Không có đối tượng ${id}/${featureId}`)
    if (!this.#allowed(layer)) return fail('role_needed', 'Lớp này cần quyền cao hơn')
    return { layer, feature }
  }

  #commune = (feature: ReplayFeature) => this.#communes.get(String(feature.properties.commune)) ?? null

  #search(text: string, limit: number): SearchHit[] {
    const hits: SearchHit[] = []
    for (const layer of this.#start.layers.filter(this.#allowed)) {
      for (const feature of this.#features.get(layer.id) ?? []) {
        const marks = match(feature.name, text)
        if (!marks || hits.filter((hit) => hit.layer === layer.id).length >= 4) continue
        const { id, ordinal, name, point, bbox } = feature
        hits.push({
          layer: layer.id, kind: layer.kind, id, ordinal, name, marks, exact: false, point, bbox,
          commune: this.#commune(feature), area_m2: this.#area(layer, feature),
          state: layer.parameters.length > 0 ? stateOf(layer, feature, Date.now(), this.#lost) : null,
        })
      }
    }
    return hits.slice(0, limit)
  }

  #area(layer: LayerInfo, { properties }: ReplayFeature): number | null {
    if (layer.geometry !== 'polygon') return null
    return Number(properties.area_km2 ?? 0) * 1e6 || Number(properties.area_ha ?? 0) * 1e4 || null
  }

  #around(from: [number, number], within: number): NearHit[] {
    const hits: NearHit[] = []
    for (const layer of this.#start.layers.filter((layer) => this.#allowed(layer) && layer.geometry === 'point')) {
      for (const { id, ordinal, name, point } of this.#features.get(layer.id) ?? []) {
        const distance_m = distance(from, point)
        if (distance_m > within || !inside(point, this.#start.profile.bbox)) continue
        hits.push({ layer: layer.id, kind: layer.kind, id, ordinal, name, distance_m, point })
      }
    }
    return hits.sort((a, b) => a.distance_m - b.distance_m)
  }

  #feature(ref: FeatureRef): FeatureDetail {
    const { layer, feature } = this.#find(ref)
    const state = layer.parameters.length > 0 ? stateOf(layer, feature, Date.now(), this.#lost) : null
    const air = layer.kind === 'air_station' && state?.value != null
    const readings = state ? readingsOf(layer, feature, state) : []
    const band = BANDS[(state?.level ?? 1) - 1] ?? ''
    return {
      layer: layer.id, kind: layer.kind, id: feature.id, ordinal: feature.ordinal, name: feature.name,
      sample: layer.sample, practice: layer.practice, commune: this.#commune(feature), point: feature.point,
      bbox: feature.bbox, area_m2: this.#area(layer, feature), length_m: feature.line ? 12_400 : null,
      attributes: layer.fields.map((field) => ({ field, value: feature.properties[field.name] ?? null })),
      vn2000: this.#grid(feature.point), provenance: layer.provenance, freshness: state?.freshness ?? layer.freshness,
      state, readings, aqi_reason: layer.kind === 'air_station' && !air ? { vi: 'Chưa có số đo nào', en: 'Nothing was measured yet' } : null,
      aqi: air && state
        ? {
            value: Math.round(state.value ?? 0), level: state.level, band: { vi: band, en: band }, dominant: 'pm25', trend_3h: 16,
            advice: {
              vi: 'Người già, trẻ em và người có bệnh hô hấp, tim mạch nên hạn chế ở ngoài trời lâu.',
              en: 'Elderly people, children and people with lung or heart disease should stay outdoors for a short time only.',
            },
            hour: state.measured_at ?? '',
          }
        : null,
      still: layer.kind === 'camera' && state?.freshness === 'fresh' ? `still/${layer.id}/${feature.id}` : null,
    }
  }
}
