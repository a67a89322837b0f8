/** Trials for tests. */
import type { Acts, Asks, Core, Trial, TrialColumn, TrialRejection } from '../../../bridge'
import { start } from '../../../state/fixture'
import { Desk } from '../../../state/desk.svelte'

export const column = (name: string, field: string | null, change: Partial<TrialColumn> = {}): TrialColumn => ({
  name, sample: 'a', filled: 4, field, suggested: field !== null, measured: false, ...change,
})

export const rejection = (row: number, field: string, change: Partial<TrialRejection> = {}): TrialRejection => ({
  rejection: { row, field, value: 'x', code: 'wrong', reason: 'wrong' }, sentence: 'Sai', swappable: false,
  cells: { 'Tên': 'Trạm', X: '596210', Y: '1221884', 'Giường': '12-15' }, ...change,
})

export function trial(change: Partial<Trial> = {}): Trial {
  const title = (text: string) => ({ vi: text, en: text })
  return {
    format: 'xlsx', rows: 4, partial: false, accepted: 4, repaired: 0, rejected: 0, rejections: [], warnings: [], crs: 9209,
    likely_crs: null, outside: 0, geometry: 'point', tables: [], mappable: true, features: [],
    columns: [column('Tên', 'name'), column('X', 'lat'), column('Y', 'lon'), column('Giường', 'beds'), column('Ghi chú', null)],
    fields: [
      { name: 'name', title: title('Tên'), type: 'text', unit: null, required: true, filled: 4, findings: [] },
      { name: 'beds', title: title('Giường'), type: 'integer', unit: null, required: false, filled: 4, findings: [] },
      { name: 'note', title: title('Ghi chú'), type: 'text', unit: null, required: false, filled: 0, findings: [] },
    ],
    ...change,
  }
}

type Answers = { [K in keyof Acts]?: (args: Acts[K]['args']) => Promise<Acts[K]['result']> }

/** A desk whose core answers only what the test says, and notes what it was asked. */
export async function deskWith(answers: Answers): Promise<{ desk: Desk; asked: [string, unknown][] }> {
  const asked: [string, unknown][] = []
  const first = start()
  first.profile.groups = [{ id: 'social', title: { vi: 'Xã hội', en: 'Social' } }]
  const core: Core = {
    tilesBase: '',
    ask: <K extends keyof Asks>(call: K) =>
      call === 'start' ? Promise.resolve(first as Asks[K]['result']) : Promise.reject(new Error(`${call} was asked`)),
    act: <K extends keyof Acts>(call: K, args: Acts[K]['args']) => {
      asked.push([call, args])
      const answer = answers[call]
      return answer ? answer(args) : Promise.reject(new Error(`${call} was asked`))
    },
    watch: () => Promise.resolve(),
    pickFile: () => Promise.resolve(null),
    onFiles: () => Promise.resolve(() => {}),
  }
  return { desk: await Desk.open(core), asked }
}
