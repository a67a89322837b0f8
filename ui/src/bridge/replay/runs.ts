/** Made-up runs and files of rejected rows of a source. */
import type { LayerRun, RejectedFile, Run, RunOutcome } from '../types'

const ENDS: RunOutcome[] = [
  'changed', 'unchanged', 'partly', 'failed', 'failed', 'unchanged', 'changed', 'cancelled', 'unchanged', 'unchanged',
]
const NOTHING = { received: 0, accepted: 0, rejected: 0, added: 0, changed: 0, removed: 0 }
const EVERY_MS = 600_000

const rejectedDir = '/home/mai/.local/share/toancanh/rejected'
const stamp = (ms: number) => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')

/** Newest first; the newest ended at `until`. */
export function runsOf(source: string, layers: readonly string[], until: number, count: number): Run[] {
  return Array.from({ length: count }, (_, at): Run => {
    const outcome = ENDS[at % ENDS.length] ?? 'unchanged'
    const ended = until - at * EVERY_MS
    const failure = {
      code: 'http_status', where: { host: '127.0.0.1:8700', status: '502' },
      message: '127.0.0.1:8700 trả lời 502 Bad Gateway cho /ogc/collections/schools/items?limit=1000&offset=2000',
    }
    const broke = outcome === 'failed' || outcome === 'partly'
    const counts = outcome === 'changed' ? { received: 1_284, accepted: 1_281, rejected: 3, added: 4, changed: 2, removed: 1 }
      : outcome === 'partly' ? { received: 212, accepted: 212, rejected: 0, added: 12, changed: 0, removed: 0 }
      : NOTHING
    const one = (layer: string, change: Partial<LayerRun>): LayerRun =>
      ({ layer, outcome, ...counts, warnings: [], failure: null, rejected_file: null, ...change })
    const [first = 'schools', second = 'clinics'] = layers
    const touched = outcome === 'changed'
      ? [one(first, { rejected_file: `${rejectedDir}/${first}-${stamp(ended)}.csv`, warnings: ['2 hình tự cắt đã được sửa'] })]
      : broke ? [one(first, { ...NOTHING, outcome: 'failed', failure })] : []
    if (outcome === 'partly') touched.push(one(second, { outcome: 'changed' }))
    return {
      source, started_at: new Date(ended - (broke ? 30_400 : 640)).toISOString(), ended_at: new Date(ended).toISOString(),
      trigger: at % 7 === 3 ? 'person' : at % 5 === 1 ? 'event' : 'schedule', outcome, ...counts,
      layers_changed: outcome === 'changed' ? [first] : [], bytes: outcome === 'changed' ? 1_840_000 : 312,
      failure: broke ? failure : null, layers: touched,
    }
  })
}

export const rejectedOf = (layers: readonly string[], until: number): RejectedFile[] =>
  layers.slice(0, 2).map((layer, at) => {
    const ms = until - at * 40 * EVERY_MS
    const file = `${rejectedDir}/${layer}-${stamp(ms)}`
    return { layer, at: new Date(ms).toISOString(), rows: at === 0 ? 3 : 1, file: `${file}.csv`, features_file: `${file}.geojson` }
  })
