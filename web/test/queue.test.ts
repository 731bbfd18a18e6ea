import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { firstPoll, nextPoll, ranker, readTicket, stand, type Kind, type State } from '../src/queue.ts'
import { hex, hmac, sha256, unhex } from '../src/sha256.ts'

interface Vectors {
  seed: string
  commitment: string
  list: string[]
  ranks: string[]
  standings: { state: State; kind: Kind; place: number; rank: string; turn: boolean; ahead: number; wait_ms: number; next_poll_ms: number }[]
}

// The server's own arithmetic wrote them; see internal/waitroom.
const vectors = JSON.parse(readFileSync('../internal/waitroom/testdata/vectors.json', 'utf8')) as Vectors

describe('the draw', () => {
  it('hashes as everyone else does', () => {
    expect(hex(sha256(new TextEncoder().encode('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    expect(hex(sha256(new Uint8Array(0)))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(hex(sha256(new Uint8Array(200).fill(7)))).toHaveLength(64)
    // RFC 4231, test case 2.
    const mac = hmac(new TextEncoder().encode('Jefe'))(new TextEncoder().encode('what do ya want for nothing?'))
    expect(hex(mac)).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
  })

  it('ranks as the server does', () => {
    expect(hex(sha256(unhex(vectors.seed)!))).toBe(vectors.commitment)
    expect(vectors.list.map(ranker(vectors.seed))).toEqual(vectors.ranks)
  })
})

describe('the line', () => {
  it('stands where the server says', () => {
    for (const v of vectors.standings) {
      const got = stand(v.state, v, v.rank || '0')
      expect([got.turn, got.ahead, Math.round(got.wait)], JSON.stringify(v)).toEqual([v.turn, v.turn ? 0 : v.ahead, v.turn ? 0 : v.wait_ms])
    }
  })

  it('asks when the server says', () => {
    for (const v of vectors.standings.filter((one) => one.state.phase === 'open')) {
      expect(Math.floor(nextPoll(v.state, 0, stand(v.state, v, v.rank || '0'), 0.5)), JSON.stringify(v)).toBe(v.next_poll_ms)
    }
    const s = vectors.standings[0]!.state
    const opens = Date.parse(s.opens_at)
    const unknown = { turn: false, ahead: -1, wait: -1 }
    expect(nextPoll(s, opens - 60_000, unknown, 0)).toBe(s.poll_after_s * 1000)
    expect(nextPoll(s, opens - 500, unknown, 0)).toBe(500)
    expect(nextPoll({ ...s, phase: 'open', poll_after_s: 20 }, opens, { turn: false, ahead: 9, wait: 10_000 }, 0)).toBe(10_000)
    expect(nextPoll({ ...s, phase: 'open', poll_after_s: 20 }, opens, { turn: false, ahead: 0, wait: 100 }, 0)).toBe(2000)
  })
})

describe('a new ticket', () => {
  // The numbers are those of internal/rehearse/room/room_test.go.
  it('is asked for when its turn is due', () => {
    const opens = Date.parse('2026-12-01T03:00:00Z')
    const open = { ...vectors.standings[0]!.state, phase: 'open', opens_at: '2026-12-01T03:00:00Z', poll_after_s: 2, poll_jitter_s: 1 } as State
    const before = { ...open, phase: 'before', poll_after_s: 20, poll_jitter_s: 10 } as State
    const asked = (s: State, seconds?: number): number => firstPoll(s, opens - 3_600_000, seconds, 0.5)
    expect([asked(open, 8), asked(open, 1), asked(open, 300), asked(open), asked(before)]).toEqual([8250, 2062.5, 15_000, 2500, 25_000])
  })
})

describe('tickets', () => {
  it('takes no other text for one', () => {
    for (const text of ['', 'T', 'A'.repeat(74), '!'.repeat(74), 'VA'.repeat(40)]) expect(readTicket(text)).toBeNull()
  })
})
