import { describe, expect, test } from 'vitest'
import { decodeBatch, recordOf } from './batch'
import { receive, type Watcher } from './client'
import type { Event } from './types'
import type { LiveBatch } from './batch'
import { encodeBatch } from './replay/encode'

/** Two records written by hand, byte by byte, as the contract lists them. */
function sample(): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode('air_stations')
  const bytes = new Uint8Array(2 + name.length + 8 + 2 * 20)
  const view = new DataView(bytes.buffer)
  bytes[0] = 1
  bytes[1] = name.length
  bytes.set(name, 2)
  let at = 2 + name.length
  view.setUint32(at, 7, true)
  view.setUint32(at + 4, 2, true)
  at += 8
  view.setUint32(at, 3, true)
  bytes.set([1, 1, 4, 0b101], at + 4)
  view.setFloat32(at + 8, 168, true)
  view.setFloat64(at + 12, 1_795_417_200_000, true)
  at += 20
  view.setUint32(at, 4, true)
  bytes.set([4, 0, 0, 0], at + 4)
  view.setFloat32(at + 8, 0, true)
  view.setFloat64(at + 12, NaN, true)
  return bytes
}

function watcher(): Watcher & { events: Event[]; batches: LiveBatch[]; faults: string[] } {
  const seen = { events: [] as Event[], batches: [] as LiveBatch[], faults: [] as string[] }
  return {
    ...seen,
    event: (event) => void seen.events.push(event),
    live: (batch) => void seen.batches.push(batch),
    unreadable: (reason) => void seen.faults.push(reason),
  }
}

describe('decodeBatch', () => {
  test('reads every field of unaligned records', () => {
    expect(decodeBatch(sample())).toEqual({
      layer: 'air_stations',
      version: 7,
      records: [
        { ordinal: 3, freshness: 'stale', scale: 'aqi', level: 4, value: 168, measuredAt: 1_795_417_200_000, calibrating: false, faulty: true },
        { ordinal: 4, freshness: 'never', scale: 'none', level: 0, value: null, measuredAt: null, calibrating: false, faulty: false },
      ],
    })
  })

  test('reads a view that does not start at its buffer’s beginning', () => {
    const whole = new Uint8Array([9, 9, 9, ...sample()])
    expect(decodeBatch(whole.subarray(3)).records).toHaveLength(2)
  })

  test('refuses another format, a cut batch and a surplus byte', () => {
    const bytes = sample()
    expect(() => decodeBatch(new Uint8Array([2, ...bytes.subarray(1)]))).toThrow(/format 2/)
    expect(() => decodeBatch(bytes.subarray(0, bytes.length - 1))).toThrow(/2 records announced/)
    expect(() => decodeBatch(bytes.subarray(0, 6))).toThrow(/cut/)
    expect(() => decodeBatch(new Uint8Array([...bytes, 0]))).toThrow(/announced/)
    expect(() => decodeBatch(new Uint8Array())).toThrow()
  })

  test('what the replay encodes comes back the same', () => {
    const batch = decodeBatch(sample())
    expect(decodeBatch(encodeBatch(batch).subarray(1))).toEqual(batch)
  })

  test('a start state takes the same form', () => {
    expect(
      recordOf({
        id: 'a', ordinal: 5, freshness: 'fresh', scale: 'aqi', level: 1, value: 38, status: 'calibrating',
        measured_at: '2026-11-23T07:00:00Z', received_at: null,
      }),
    ).toEqual({
      ordinal: 5, freshness: 'fresh', scale: 'aqi', level: 1, value: 38, measuredAt: 1_795_417_200_000,
      calibrating: true, faulty: false,
    })
  })
})

describe('receive', () => {
  test('the first byte tells events from batches', () => {
    const seen = watcher()
    const event: Event = { event: 'layer_removed', id: 'schools' }
    receive(new Uint8Array([0, ...new TextEncoder().encode(JSON.stringify(event))]).buffer, seen)
    receive(new Uint8Array([1, ...sample()]).buffer, seen)
    expect(seen.events).toEqual([event])
    expect(seen.batches[0]?.version).toBe(7)
    expect(seen.faults).toEqual([])
  })

  test('an unreadable message is reported, never thrown', () => {
    const seen = watcher()
    receive([0, 123], seen)
    receive([1, 2, 3], seen)
    receive([7], seen)
    expect(seen.faults).toHaveLength(3)
  })
})
