import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { RowEdit } from '../../../bridge'
import { layer } from '../../../state/fixture'
import { columnsAtFault, mendedCount, swappableRows, withCells, withSwap } from './edits'
import { rejection, trial } from './fixture'
import { Latest } from './latest'
import { assign, checkOf, fieldOf, missingFields, OWN_NAME } from './mapping'
import { dotsOf, dotted, frameOf, outsideOf, pathOf } from './preview'
import { firstGroup, guessLayer, NEW_LAYER, stemOf, targetOf } from './target'

describe('columns and fields', () => {
  const [name, north, , beds, note] = trial().columns as [never, never, never, never, never]

  test('a column fills what the trial took it for, until a person chooses', () => {
    expect(fieldOf(name, {})).toBe('name')
    expect(fieldOf(note, {})).toBe(OWN_NAME)
    expect(fieldOf(note, { note: 'Ghi chú' })).toBe('note')
    expect(fieldOf(beds, { beds: '' })).toBe(OWN_NAME)
  })

  test('a field taken from a column leaves it its own name', () => {
    const mapping = assign({}, note, 'name')
    expect(mapping).toEqual({ name: 'Ghi chú' })
    expect(fieldOf(name, mapping)).toBe(OWN_NAME)
    expect(fieldOf(note, mapping)).toBe('name')
  })

  test('a column that gives its field up leaves the field empty', () => {
    expect(assign({}, beds, OWN_NAME)).toEqual({ beds: '' })
    expect(assign({ note: 'Giường', beds: '' }, beds, 'beds')).toEqual({ note: '', beds: 'Giường' })
  })

  test('a position is never left empty, and the same choice changes nothing', () => {
    expect(assign({ lat: 'X' }, north, OWN_NAME)).toEqual({})
    const mapping = { beds: 'Giường' }
    expect(assign(mapping, beds, 'beds')).toBe(mapping)
  })

  test('a required field without a column is missing', () => {
    const one = trial({ fields: trial().fields.map((field) => ({ ...field, filled: 0 })) })
    expect(missingFields(one, {})).toEqual([])
    expect(missingFields(one, { name: '' }).map((field) => field.name)).toEqual(['name'])
  })

  test('a check says the standard’s findings, and that positions lie outside', () => {
    const findings = ['12 giá trị lạ']
    const one = trial({ outside: 2, fields: trial().fields.map((field) => (field.name === 'beds' ? { ...field, findings } : field)) })
    expect(checkOf(beds, one, {})).toEqual({ state: 'look', findings })
    expect(checkOf(north, one, {}).state).toBe('look')
    expect(checkOf(name, one, {}).state).toBe('good')
    expect(checkOf(note, one, {}).state).toBe('idle')
  })
})

describe('edits', () => {
  test('a swap is taken back by a second one, cells stay', () => {
    const both = withSwap([], [52, 37])
    expect(both).toEqual([{ row: 37, swap: true, cells: {} }, { row: 52, swap: true, cells: {} }])
    expect(withSwap(both, [37, 52])).toEqual([])
    expect(withSwap([{ row: 3, swap: true, cells: { a: '1' } }], [3])).toEqual([{ row: 3, swap: false, cells: { a: '1' } }])
  })

  test('only cells that changed are sent, over earlier ones', () => {
    const first = withCells([], 203, { 'Giường': '12-15', 'Tên': 'A' }, { 'Giường': '14', 'Tên': 'A' })
    expect(first).toEqual([{ row: 203, swap: false, cells: { 'Giường': '14' } }])
    expect(withCells(first, 203, { 'Giường': '14', 'Tên': 'A' }, { 'Tên': 'B', 'Giường': '14' })[0]?.cells).toEqual({
      'Giường': '14', 'Tên': 'B',
    })
    expect(withCells([], 1, { a: 'x' }, { a: 'x' })).toEqual([])
  })

  test('the columns at fault are those that fill the field', () => {
    const { columns } = trial()
    expect(columnsAtFault(rejection(1, 'beds'), columns, {})).toEqual(['Giường'])
    expect(columnsAtFault(rejection(1, 'geometry'), columns, {})).toEqual(['X', 'Y'])
    expect(columnsAtFault(rejection(1, ''), columns, {})).toEqual([])
    expect(columnsAtFault(rejection(1, 'note'), columns, { note: 'Tên' })).toEqual(['Tên'])
  })

  test('rows count as mended once they are no longer rejected', () => {
    const edits: RowEdit[] = withSwap([], [37, 52])
    const left = [rejection(52, 'geometry', { swappable: true }), rejection(88, 'commune')]
    expect(mendedCount(edits, left)).toBe(1)
    expect(swappableRows(left)).toEqual([52])
  })
})

describe('asking again', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('several changes are one question, asked once they rest', async () => {
    const ask = vi.fn(() => Promise.resolve(1))
    const answers: unknown[] = []
    const latest = new Latest(ask, (answer) => answers.push(answer), 300)
    latest.soon()
    await vi.advanceTimersByTimeAsync(200)
    latest.soon()
    await vi.advanceTimersByTimeAsync(299)
    expect(ask).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(ask).toHaveBeenCalledTimes(1)
    expect(answers).toEqual([{ value: 1 }])
  })

  test('a stale answer or failure is dropped', async () => {
    const waits = [400, 100, 300]
    let at = 0
    const answers: unknown[] = []
    const latest = new Latest(
      () => {
        const mine = at++
        return new Promise((resolve, reject) => setTimeout(() => (mine === 2 ? reject(new Error('late')) : resolve(mine)), waits[mine]))
      },
      (answer) => answers.push(answer),
    )
    void latest.now()
    void latest.now()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(answers).toEqual([{ value: 1 }])
    void latest.now()
    latest.drop()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(answers).toHaveLength(1)
  })
})

describe('targets', () => {
  const choice = { layer: '', title: ' Trạm xe buýt ', kind: 'other', group: 'social' } as const

  test('are whole or nothing', () => {
    expect(targetOf(choice)).toBeNull()
    expect(targetOf({ ...choice, layer: 'schools' })).toEqual({ to: 'layer', layer: 'schools' })
    expect(targetOf({ ...choice, layer: NEW_LAYER })).toEqual({ to: 'new', title: 'Trạm xe buýt', kind: 'other', group: 'social' })
    expect(targetOf({ ...choice, layer: NEW_LAYER, title: ' ' })).toBeNull()
  })

  test('a file’s name gives the layer when it names exactly one', () => {
    const layers = [
      { ...layer('schools'), title: { vi: 'Trường học', en: 'Schools' } },
      { ...layer('communes'), title: { vi: 'Xã, phường', en: 'Communes' } },
    ]
    expect(guessLayer('/tmp/Truong_hoc_2026.xlsx', layers)).toBe('schools')
    expect(guessLayer('C:\\du lieu\\communes.csv', layers)).toBe('communes')
    expect(guessLayer('/tmp/schools communes.csv', layers)).toBe('')
    expect(guessLayer('/tmp/CSYT_thang11.xlsx', layers)).toBe('')
    expect(stemOf('/a/b.c/Cơ sở.v2.xlsx')).toBe('Cơ sở.v2')
    expect(firstGroup([{ id: 'base' }, { id: 'social' }])).toBe('social')
  })
})

describe('the picture of a trial', () => {
  const frame = frameOf([106, 10, 107, 11], 200, 224)
  const feature = (point: [number, number], change = {}) => ({ id: 'a', name: null, point, lines: [], outside: false, ...change })

  test('north is up, and the box stands in the middle', () => {
    const [x, y] = frame.at([106.5, 10.5])
    expect([Math.round(x), Math.round(y)]).toEqual([100, 112])
    expect(frame.at([106.5, 11])[1]).toBeLessThan(y)
    expect(pathOf([[[106.5, 10.5], [106.5, 10.5]], [[106, 10]]], frame)).toBe('M100.0 112.0L100.0 112.0')
    expect(dotsOf([[106.5, 10.5]], frame)).toBe('M100.0 112.0h0')
  })

  test('what lies outside is shown at the edge, never beyond it', () => {
    const found = outsideOf([feature([0, 90], { outside: true }), feature([106.5, 10.5])], frame)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ x: 9, y: 9 })
  })

  test('a shape too small to see is a dot too', () => {
    const lines = [[[106.5, 10.5], [106.501, 10.5], [106.5, 10.501]]]
    const wide = [[[106, 10], [107, 11]]]
    expect(dotted([feature([106.5, 10.5], { lines }), feature([106.5, 10.5], { lines: wide })], frame)).toHaveLength(1)
  })
})

