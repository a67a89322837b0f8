/**
 * Made-up answers for what comes from outside: `http…/ogc…` is a service of six collections, any other address a single
 * file; a host `khong-*` does not answer, `kin-*` only who logs in. A file is the list of clinics of the design, six rows of which are bad; a name
 * with `khong_he` does not say its system of coordinates, one with `LongAn` was written in the other meridian.
 */
import { CallFailed } from '../client'
import type {
  Acts, Event, FileArgs, LayerInfo, NewSource, Offer, Recognised, SourceHealth, TargetField, Trial, TrialColumn,
  TrialFeature, TrialRejection,
} from '../types'
import type { ReplayFeature } from './feature'

type Handlers = {
  [K in
    | 'test_source' | 'recognise' | 'keep_secret' | 'forget_secret' | 'try_source' | 'add_source' | 'remove_source' | 'try_file' | 'import_file'
  ]: (args: Acts[K]['args']) => Acts[K]['result']
}

const COLLECTIONS = ['schools', 'clinics', 'industrial_parks', 'communes', 'air_stations', 'cameras']

/** A bad row of the list of clinics: what it says, and what mends it. */
interface BadRow {
  row: number
  field: string
  column: string
  value: string
  code: string
  sentence: string
  swappable: boolean
  /** The cell holds this once it is mended; absent: anything but what it held. */
  good?: RegExp
}

const BAD: BadRow[] = [
  {
    row: 37, field: 'geometry', column: 'X', value: '596.210,0 · 1.221.884,3', code: 'swapped_axes',
    sentence: 'X và Y bị đảo', swappable: true,
  },
  {
    row: 52, field: 'geometry', column: 'X', value: '596.877,5 · 1.220.102,8', code: 'swapped_axes',
    sentence: 'X và Y bị đảo', swappable: true,
  },
  {
    row: 88, field: 'commune', column: 'Mã xã', value: '25711A', code: 'not_in_list', sentence: 'Mã không có trong danh mục',
    swappable: false, good: /^\d{5}$/,
  },
  {
    row: 121, field: 'geometry', column: 'Y', value: '5.593,0', code: 'coordinate_range', sentence: 'Ngoài ranh giới tỉnh 553 km',
    swappable: false, good: /^\d{6}/,
  },
  {
    row: 164, field: 'name', column: 'Tên cơ sở', value: '', code: 'required', sentence: 'Thiếu trường bắt buộc', swappable: false,
    good: /\S/,
  },
  {
    row: 203, field: 'beds', column: 'Giường', value: '12-15', code: 'not_integer', sentence: 'Không phải số nguyên',
    swappable: false, good: /^\d+$/,
  },
]

const CLINIC_COLUMNS: [name: string, sample: string | null, filled: number, field: string | null][] = [
  ['Tên cơ sở', 'Trạm Y tế xã Tân Lập', 218, 'name'], ['Loại hình', 'Trạm y tế', 219, 'level'], ['Mã xã', '25489', 219, 'commune'],
  ['X', '1.292.713,4', 219, 'lat'], ['Y', '559.482,0', 219, 'lon'], ['Giường', '20', 219, 'beds'],
  ['Ghi chú', 'mới sửa chữa', 63, null],
]

const cellsOf = ({ row, column, value }: BadRow): Record<string, string> => ({
  'Tên cơ sở': `Trạm Y tế số ${row}`, 'Loại hình': 'Trạm y tế', 'Mã xã': '25489', X: '1.292.713,4', Y: '559.482,0', Giường: '20',
  'Ghi chú': '', [column]: value.split(' · ')[0] ?? '', ...(value.includes(' · ') ? { Y: value.split(' · ')[1] ?? '' } : {}),
})

function fail(code: string, message: string, where: Record<string, string> = {}): never {
  throw new CallFailed({ code, message, where })
}

export class ReplayIntake {
  readonly added: SourceHealth[] = []
  readonly acts: Handlers

  constructor(
    private readonly layers: () => LayerInfo[],
    private readonly features: Map<string, ReplayFeature[]>,
    private readonly tell: (event: Event) => void,
    private readonly sync: () => void,
  ) {
    this.acts = {
      recognise: ({ url, credentials }) => {
        if (url.includes('//kin-') && !credentials) fail('status', `Máy chủ ${url} trả lời lỗi. (401)`, { status: '401' })
        return this.#recognise(url)
      },
      keep_secret: ({ name, in_file }) => ({ name: name ?? 'may_chu', place: in_file ? 'file' : 'keyring' }),
      forget_secret: () => null,
      try_source: ({ layer }) => this.#trySource(layer),
      add_source: ({ source, layers }) => {
        const id = `nguon-${this.added.length + 1}`
        const own = layers.map(({ target }) => (target.to === 'layer' ? target.layer : this.#newLayer(target)))
        this.added.push(healthOf(id, source, own))
        this.sync()
        return { id, layers: own }
      },
      remove_source: ({ source }) => {
        const at = this.added.findIndex(({ id }) => id === source)
        if (at < 0) fail('source_not_added', 'Nguồn này ghi trong hồ sơ tỉnh, không xóa ở đây được.')
        this.added.splice(at, 1)
        return null
      },
      test_source: ({ source }) =>
        source === 'stations'
          ? { took_ms: 5_000, offers: null, error: '127.0.0.1:8700 không trả lời trong 5 giây' }
          : { took_ms: 120, offers: 9, error: null },
      try_file: (args) => this.#tryFile(args),
      import_file: (args) => {
        const { accepted, rejected } = this.#tryFile(args)
        const layer = args.target.to === 'layer' ? args.target.layer : this.#newLayer(args.target)
        const rejected_file = rejected > 0 ? `~/.local/share/toancanh/rejected/${layer}.csv` : null
        return { layer, accepted, repaired: 0, rejected, rejected_file, crs: 'EPSG:9209', mapping: {}, warnings: [] }
      },
    }
  }

  #newLayer(target: { title: string; kind: LayerInfo['kind']; group: string }): string {
    const id = `lop_${this.layers().length}`
    const like = this.layers()[0]
    const title = { vi: target.title, en: target.title }
    if (like) this.tell({ event: 'layer', layer: { ...like, ...target, title, id, features: 213, source: 'file.xlsx' } })
    return id
  }

  #recognise(url: string): Recognised {
    if (!/^https?:\/\/[^/\s]+/.test(url)) {
      fail('bad_address', `“${url}” không phải địa chỉ của một hệ thống: cần bắt đầu bằng http:// hoặc https://.`)
    }
    const host = new URL(url).host
    if (host.startsWith('khong-')) fail('no_answer', `${host} không trả lời: không tìm thấy máy chủ này. Hãy xem lại địa chỉ.`)
    if (!url.includes('/ogc')) {
      const title = url.split('/').at(-1) ?? url
      return { protocol: 'file', url, title, chosen: null, offers: [{ collection: null, title, features: null, layer: null }], practice: false }
    }
    const offers = COLLECTIONS.flatMap((id): Offer[] => {
      const layer = this.layers().find((layer) => layer.id === id)
      return layer ? [{ collection: id, title: layer.title.vi, features: layer.features, layer: id }] : []
    })
    offers.push({ collection: 'bus_stops', title: 'Trạm xe buýt', features: 412, layer: null })
    const chosen = /collections\/(\w+)/.exec(url)?.[1] ?? null
    return {
      protocol: 'ogc-api-features', url: url.replace(/\/collections.*/, ''), title: 'Trung tâm dữ liệu thực hành', chosen, offers,
      practice: true,
    }
  }

  #trySource(layer: Acts['try_source']['args']['layer']): Trial {
    const id = layer.target.to === 'layer' ? layer.target.layer : 'clinics'
    const all = this.features.get(layer.collection ?? '') ?? this.features.get(id) ?? []
    const known = this.layers().find((one) => one.id === id)
    const names = Object.keys(all[0]?.properties ?? { name: '', code: '' })
    const columns = names.map((name): TrialColumn => {
      const sample = all[0]?.properties[name]
      const field = known?.fields.some((field) => field.name === name) ? name : null
      return this.#mapped({ name, sample: sample == null ? null : String(sample), filled: all.length, field, suggested: true, measured: false }, layer.map)
    })
    return {
      ...EMPTY, format: 'ogc-api-features', rows: all.length, accepted: all.length, columns, fields: this.#fields(id, columns, all.length),
      features: all.map((feature) => onMap(feature)), geometry: known?.geometry ?? 'point',
    }
  }

  #tryFile({ path, target, crs, map, edits }: FileArgs): Trial {
    if (!/\.\w+$/.test(path)) fail('no_file', `Không có tệp ${path}.`, { file: path })
    if (path.includes('khong_he') && crs === undefined) {
      fail('crs_unknown', 'Chưa biết hệ tọa độ của tệp: cột X, Y là mét nhưng tệp không nói kinh tuyến trục.', { propose: '9210' })
    }
    const mended = (bad: BadRow) => {
      const edit = edits.find(({ row }) => row === bad.row)
      if (bad.swappable) return edit?.swap ?? false
      return bad.good?.test(edit?.cells[bad.column] ?? bad.value) ?? false
    }
    const bad = BAD.filter((row) => !mended(row))
    const columns = CLINIC_COLUMNS.map(([name, sample, filled, field]) =>
      this.#mapped({ name, sample, filled, field, suggested: field !== null, measured: false }, map),
    )
    const id = target.to === 'layer' ? target.layer : 'clinics'
    const inside = (this.features.get('clinics') ?? []).slice(0, 213).map((feature) => onMap(feature))
    const outside: TrialFeature[] = ([[105.62, 10.45], [106.78, 11.55], [107.9, 12.3]] as [number, number][]).map((point, at) => ({
      id: `ngoai-${at}`, name: `Trạm Y tế ngoài tỉnh ${at + 1}`, point, lines: [], outside: true,
    }))
    const wrong = path.includes('LongAn') && crs !== 9210
    return {
      ...EMPTY, format: 'xlsx', rows: 219, accepted: 219 - bad.length, rejected: bad.length, columns, crs: crs ?? 9209,
      likely_crs: wrong ? 9210 : null, outside: outside.length, fields: this.#fields(id, columns, 219 - bad.length),
      tables: ['Danh sách', 'Ghi chú'], features: [...inside, ...outside],
      rejections: bad.map((row): TrialRejection => ({
        rejection: { row: row.row, field: row.field, value: row.value, code: row.code, reason: row.code },
        sentence: row.sentence, swappable: row.swappable,
        cells: { ...cellsOf(row), ...edits.find((edit) => edit.row === row.row)?.cells },
      })),
    }
  }

  #mapped(column: TrialColumn, map: Record<string, string>): TrialColumn {
    const chosen = Object.entries(map).find(([, from]) => from === column.name)?.[0]
    if (chosen) return { ...column, field: chosen, suggested: false }
    return column.field !== null && column.field in map ? { ...column, field: null, suggested: false } : column
  }

  #fields(id: string, columns: TrialColumn[], accepted: number): TargetField[] {
    const fields = (this.layers().find((layer) => layer.id === id) ?? this.layers()[0])?.fields ?? []
    return fields.map(({ name, title, type, unit, required }) => {
      const column = columns.find((column) => column.field === name)
      const findings = name === 'level' && column ? ['12 giá trị không có trong danh mục được giữ nguyên'] : []
      return { name, title, type, unit: unit ?? null, required, filled: column ? Math.min(column.filled, accepted) : 0, findings }
    })
  }
}

const EMPTY: Trial = {
  format: '', rows: 0, partial: false, accepted: 0, repaired: 0, rejected: 0, rejections: [], warnings: [], crs: 4326,
  likely_crs: null, outside: 0, geometry: 'point', tables: [], mappable: true, columns: [], fields: [], features: [],
}

const onMap = ({ id, name, point }: ReplayFeature): TrialFeature => ({ id, name, point, lines: [], outside: false })

const healthOf = (id: string, { title, protocol, url, practice, credentials }: NewSource, layers: string[]): SourceHealth => ({
  id, title: { vi: title, en: title }, protocol, url, practice, link: 'up', freshness: 'fresh',
  answered_at: new Date().toISOString(), lost_at: null, next_try_at: null, last_error: null, added: true, layers,
  paused: false, breaker: 'closed', resting_until: null, next_run_at: null, runs: [],
  login: credentials ? { kind: credentials.kind, secret: credentials.secret } : null,
})
