import { describe, expect, test, vi } from 'vitest'
import { CallFailed, type FileArgs, type Recognised } from '../../../bridge'
import { deskWith, rejection, trial } from './fixture'
import { FileIntake } from './file-intake.svelte'
import { intakesOf } from './intakes.svelte'
import { SourceIntake } from './source-intake.svelte'

const FOUND: Recognised = {
  protocol: 'ogc-api-features', url: 'https://example.vn/ogc', title: null, chosen: 'schools', practice: false,
  offers: [
    { collection: 'schools', title: 'Trường học', features: 4, layer: 'schools' },
    { collection: 'bus', title: 'Trạm xe buýt', features: 4, layer: null },
  ],
}

describe('adding a source', () => {
  test('goes from the address to the order without more than Enter', async () => {
    const { desk, asked } = await deskWith({
      recognise: () => Promise.resolve(FOUND),
      try_source: () => Promise.resolve(trial()),
      add_source: () => Promise.resolve({ id: 'example-vn', layers: ['schools'] }),
    })
    const intake = new SourceIntake(desk)
    expect(intake.canGoOn).toBe(false)
    intake.write(' https://example.vn/ogc/collections/schools/items ')
    await intake.next()
    expect([intake.step, intake.title]).toEqual([1, 'example.vn'])
    expect(intake.ticked.map((pick) => pick.offer.collection)).toEqual(['schools'])
    await intake.next()
    await vi.waitFor(() => expect(intake.attempt?.ready).toBe(true))
    await intake.next()
    await intake.next()
    expect(intake.step).toBe(4)
    await intake.next()
    expect(intake.added?.id).toBe('example-vn')
    const source = { protocol: 'ogc-api-features', url: 'https://example.vn/ogc', title: 'example.vn', every: '10m', practice: false }
    const layer = { collection: 'schools', target: { to: 'layer', layer: 'schools' }, map: {} }
    expect(asked).toEqual([
      ['recognise', { url: 'https://example.vn/ogc/collections/schools/items' }],
      ['try_source', { source, layer }],
      ['add_source', { source, layers: [layer] }],
    ])
    expect(intake.canGoOn).toBe(false)
  })

  test('an address that does not answer is said under the field and stays in it', async () => {
    const failure = { code: 'no_answer', message: 'example.vn không trả lời', where: {} }
    const { desk } = await deskWith({ recognise: () => Promise.reject(new CallFailed(failure)) })
    const intake = new SourceIntake(desk)
    intake.write('https://example.vn')
    await intake.next()
    expect([intake.step, intake.url, intake.failure]).toEqual([0, 'https://example.vn', failure])
    expect(intake.canGoOn).toBe(true)
    intake.write('https://example.vn/ogc')
    expect(intake.failure).toBeNull()
  })

  test('a system that wants a login is shown one, and the secret goes to the keeper alone', async () => {
    const refused = { code: 'status', message: '401', where: { status: '401' } }
    const right = { kind: 'basic' as const, user: 'mai', secret: 'example_vn' }
    const { desk, asked } = await deskWith({
      recognise: ({ credentials }) => (credentials ? Promise.resolve(FOUND) : Promise.reject(new CallFailed(refused))),
      keep_secret: () => Promise.resolve({ name: 'example_vn', place: 'keyring' }),
      forget_secret: () => Promise.resolve(null),
      try_source: () => Promise.resolve(trial()),
      add_source: () => Promise.resolve({ id: 'example-vn', layers: ['schools'] }),
    })
    const intakes = intakesOf(desk)
    const intake = intakes.open('source') as SourceIntake
    intake.write('https://example.vn/ogc/collections/schools')
    await intake.next()
    expect([intake.step, intake.login.open, intake.canGoOn]).toEqual([0, true, false])
    intake.login.user = ' mai '
    intake.login.secret = 'bí mật'
    expect(intake.canGoOn).toBe(true)
    await intake.next()
    expect([intake.step, intake.login.secret]).toEqual([1, ''])
    expect(asked.slice(1)).toEqual([
      ['keep_secret', { about: 'https://example.vn/ogc/collections/schools', value: 'bí mật', in_file: false }],
      ['recognise', { url: 'https://example.vn/ogc/collections/schools', credentials: right }],
    ])
    await intake.next()
    await vi.waitFor(() => expect(intake.attempt?.ready).toBe(true))
    expect(asked.at(-1)).toMatchObject(['try_source', { source: { credentials: right } }])
    // Another system is not shown it.
    intake.go(0)
    intake.write('https://elsewhere.vn/ogc')
    await intake.next()
    expect(asked.at(-1)).toEqual(['forget_secret', { name: 'example_vn' }])
    expect([intake.step, intake.canGoOn]).toEqual([0, false])
    intake.login.secret = 'khác'
    await intake.next()
    intakes.discard()
    expect(asked.at(-1)).toEqual(['forget_secret', { name: 'example_vn' }])
  })

  test('a keyring that cannot be opened is said at the field, and nothing is asked', async () => {
    const { desk, asked } = await deskWith({
      keep_secret: () => Promise.reject(new CallFailed({ code: 'no_keyring', message: 'Kho khóa', where: {} })),
    })
    const intake = new SourceIntake(desk)
    intake.write('postgres://reader@db.example/land')
    intake.login.show(intake.url)
    expect(intake.login.user).toBe('reader')
    intake.login.secret = 'x'
    await intake.next()
    expect([intake.login.failure?.code, intake.recognising, intake.login.secret]).toEqual(['no_keyring', false, 'x'])
    expect(asked.map(([call]) => call)).toEqual(['keep_secret'])
  })

  test('every ticked layer is looked at, and none twice for one target', async () => {
    const { desk, asked } = await deskWith({ recognise: () => Promise.resolve(FOUND), try_source: () => Promise.resolve(trial()) })
    const intake = new SourceIntake(desk)
    intake.write('https://example.vn/ogc')
    await intake.next()
    for (const pick of intake.picks) pick.ticked = true
    await intake.next()
    await vi.waitFor(() => expect(intake.attempt?.ready).toBe(true))
    await intake.next()
    expect([intake.step, intake.at]).toEqual([2, 1])
    await vi.waitFor(() => expect(intake.attempt?.ready).toBe(true))
    intake.back()
    expect([intake.step, intake.at]).toEqual([2, 0])
    await intake.next()
    await intake.next()
    expect([intake.step, intake.at]).toEqual([3, 0])
    expect(asked.filter(([call]) => call === 'try_source')).toHaveLength(2)
    // Another target is another question.
    intake.go(1)
    const [first] = intake.picks
    if (first) first.target = { ...first.target, layer: 'communes' }
    await intake.next()
    expect(asked.filter(([call]) => call === 'try_source')).toHaveLength(3)
  })

  test('two layers do not go into one', async () => {
    const { desk } = await deskWith({ recognise: () => Promise.resolve(FOUND) })
    const intake = new SourceIntake(desk)
    intake.write('https://example.vn/ogc')
    await intake.next()
    for (const pick of intake.picks) {
      pick.ticked = true
      pick.target = { ...pick.target, layer: 'schools' }
    }
    expect(intake.problem).toBe('same_target')
    for (const pick of intake.picks) pick.ticked = false
    expect(intake.problem).toBe('nothing_ticked')
  })
})

describe('importing a file', () => {
  const lastArgs = (asked: [string, unknown][]) => asked.at(-1)?.[1] as FileArgs

  test('rows are mended and tried again before anything is written', async () => {
    const bad = [rejection(37, 'geometry', { swappable: true }), rejection(203, 'beds')]
    const { desk, asked } = await deskWith({
      try_file: ({ edits }) => {
        const left = bad.filter((one) => !edits.some((edit) => edit.row === one.rejection.row))
        return Promise.resolve(trial({ accepted: 4 - left.length, rejected: left.length, rejections: left }))
      },
      import_file: () =>
        Promise.resolve({
          layer: 'schools', accepted: 4, repaired: 0, rejected: 0, rejected_file: null, crs: 'EPSG:9209', mapping: {}, warnings: [],
        }),
    })
    const intake = new FileIntake(desk)
    intake.choose('/tmp/schools.xlsx')
    expect(intake.target.layer).toBe('schools')
    await intake.next()
    await vi.waitFor(() => expect(intake.attempt.trial?.rejected).toBe(2))
    intake.swap([37])
    await vi.waitFor(() => expect(intake.attempt.trial?.rejected).toBe(1))
    intake.mend(203, { 'Giường': '12-15' }, { 'Giường': '14' })
    await vi.waitFor(() => expect(intake.attempt.trial?.rejected).toBe(0))
    for (let step = 1; step < 4; step++) await intake.next()
    await intake.next()
    expect(asked.at(-1)?.[0]).toBe('import_file')
    expect(lastArgs(asked).edits).toEqual([
      { row: 37, swap: true, cells: {} }, { row: 203, swap: false, cells: { 'Giường': '14' } },
    ])
    expect(intake.summary?.accepted).toBe(4)
  })

  test('an unknown system is proposed, and taken by one press', async () => {
    const unknown = { code: 'crs_unknown', message: 'Chưa biết hệ tọa độ', where: { propose: '9210' } }
    const { desk, asked } = await deskWith({
      try_file: ({ crs }) => (crs === undefined ? Promise.reject(new CallFailed(unknown)) : Promise.resolve(trial({ crs }))),
    })
    const intake = new FileIntake(desk)
    intake.choose('/tmp/schools.csv')
    await intake.next()
    await vi.waitFor(() => expect(intake.attempt.failure?.code).toBe('crs_unknown'))
    expect([intake.proposed, intake.canGoOn]).toEqual([9210, false])
    intake.readIn(9210)
    await vi.waitFor(() => expect(intake.canGoOn).toBe(true))
    expect(lastArgs(asked).crs).toBe(9210)
    expect(intake.proposed).toBeNull()
  })

  test('another file is read from the beginning, the same one is not read again', async () => {
    const { desk, asked } = await deskWith({ try_file: () => Promise.resolve(trial({ likely_crs: 9210 })) })
    const intake = new FileIntake(desk)
    intake.choose('/tmp/schools.csv')
    await intake.next()
    await vi.waitFor(() => expect(intake.proposed).toBe(9210))
    intake.readIn(9210)
    await vi.waitFor(() => expect(intake.canGoOn).toBe(true))
    intake.go(0)
    await intake.next()
    expect(asked).toHaveLength(2)
    intake.go(0)
    intake.choose('/tmp/schools-2.csv')
    await intake.next()
    expect(asked).toHaveLength(3)
    expect(lastArgs(asked).crs).toBeUndefined()
  })
})

describe('what is being taken in', () => {
  test('is kept when it is put out of sight, and gone when it is given up', async () => {
    const { desk } = await deskWith({})
    const intakes = intakesOf(desk)
    expect(intakesOf(desk)).toBe(intakes)
    const source = intakes.open('source')
    intakes.hide()
    expect(intakes.shown).toBeNull()
    expect(intakes.open('source')).toBe(source)
    intakes.discard()
    expect(intakes.open('source')).not.toBe(source)
  })

  test('a dropped file opens the import with its path', async () => {
    const { desk } = await deskWith({})
    const intakes = intakesOf(desk)
    intakes.openFile('/tmp/communes.geojson')
    expect(intakes.shown).toMatchObject({ kind: 'file', path: '/tmp/communes.geojson', step: 0 })
  })

  test('mended rows go into their layer over those of the same key, whatever the file is called', async () => {
    const { desk, asked } = await deskWith({ try_file: () => Promise.resolve(trial()) })
    const intakes = intakesOf(desk)
    intakes.mend('/home/mai/rejected/communes-20261123T070000Z.geojson', 'schools')
    const intake = intakes.shown as FileIntake
    expect([intake.target.layer, intake.mode, intake.step]).toEqual(['schools', 'upsert', 0])
    await intake.next()
    expect(asked).toMatchObject([['try_file', { target: { to: 'layer', layer: 'schools' }, mode: 'upsert' }]])
  })

  test('a trial that was stopped by looking away is taken up again', async () => {
    let answer: (() => void) | undefined
    const { desk, asked } = await deskWith({
      try_file: () => new Promise((resolve) => (answer = () => resolve(trial()))),
    })
    const intakes = intakesOf(desk)
    intakes.openFile('/tmp/schools.csv')
    const intake = intakes.shown as FileIntake
    await intake.next()
    intakes.hide()
    answer?.()
    await Promise.resolve()
    expect(intake.attempt.trial).toBeNull()
    intakes.open('file')
    expect(asked.filter(([call]) => call === 'try_file')).toHaveLength(2)
    answer?.()
    await vi.waitFor(() => expect(intake.canGoOn).toBe(true))
  })
})
