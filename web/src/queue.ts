import { hex, hmac, sha256, unhex } from './sha256.ts'

/** The public state of a waiting room, the same for everyone; see waitroom.State. */
export interface State {
  event: string
  phase: 'before' | 'closed' | 'open' | 'ended'
  stock: 'available' | 'held' | 'sold_out'
  paused: boolean
  opens_at: string
  draw_closes_at?: string
  drawn: number
  late: number
  served: number
  threshold: string
  groups?: number[] | null
  rate: number
  /** Nobody enters for so many seconds: the crowd is just arriving. */
  delay_s?: number
  estimate_s?: number
  poll_after_s: number
  poll_jitter_s: number
  commitment?: string
  root?: string
  list_sha256?: string
  seed?: string
  /** What is confirmed before a number is given. */
  person?: 'email'
}

export type Kind = 'drawn' | 'late' | 'invited'

export interface Ticket {
  text: string
  kind: Kind
  place: number
  number: string
}

/** Where a ticket stands: ahead and wait (milliseconds) are -1 while they are not known. */
export interface Standing {
  turn: boolean
  ahead: number
  wait: number
}

const unknown: Standing = { turn: false, ahead: -1, wait: -1 }

/** The bytes of a ticket before its signature: tag, key, kind, event (8), visitor (16), place (8), time of issue (4). */
const ticketSize = 39
const signatureSize = 16

/** Reads a ticket without checking its signature, which is the server's business; null if it is none. */
export function readTicket(text: string): Ticket | null {
  if (!/^[A-Za-z0-9_-]{74}$/.test(text)) return null
  const raw = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  const bytes = Uint8Array.from(raw, (c) => c.charCodeAt(0))
  const kind = ([undefined, 'drawn', 'late', 'invited'] as const)[bytes[2]! & 0x7f] // the highest bit: a person's
  if (bytes.length !== ticketSize + signatureSize || raw[0] !== 'T' || !kind) return null
  const place = Number(new DataView(bytes.buffer).getBigInt64(27))
  return { text, kind, place, number: numberOf(bytes.subarray(3, 11), bytes.subarray(11, 27)) }
}

/** The draw number: what the published list has of a visitor. */
function numberOf(event: Uint8Array, visitor: Uint8Array): string {
  const label = new TextEncoder().encode('gapura draw number v1\0')
  const data = new Uint8Array(label.length + 24)
  data.set(label)
  data.set(event, label.length)
  data.set(visitor, label.length + 8)
  return hex(sha256(data)).slice(0, 32)
}

/** Returns what ranks draw numbers under a seed: 16 hexadecimal digits, the lower the earlier. */
export function ranker(seed: string): (number: string) => string {
  const mac = hmac(unhex(seed) ?? new Uint8Array())
  return (number) => hex(mac(unhex(number) ?? new Uint8Array()).subarray(0, 8))
}

/** A rank, or the distance of two, as a share of all. */
function share(rank: bigint): number {
  return Number(rank >> 11n) / 2 ** 53
}

/** Where a ticket stands, from the ticket and the public state alone. With N drawn it is off by at most about the square root of N. */
export function stand(s: State, ticket: Pick<Ticket, 'kind' | 'place'>, rank: string): Standing {
  if (s.phase !== 'open') return unknown
  if (ticket.kind === 'invited') return s.groups?.includes(ticket.place) ? { turn: true, ahead: 0, wait: 0 } : unknown
  if (ticket.kind === 'late') return behind(s, s.drawn + ticket.place - s.served)
  const own = BigInt('0x' + rank)
  if (s.threshold === '') return behind(s, 1 + Math.trunc(share(own) * s.drawn))
  const threshold = BigInt('0x' + s.threshold)
  if (own <= threshold) return behind(s, 0)
  return behind(s, 1 + Math.trunc(share(own - threshold) * s.drawn))
}

function behind(s: State, places: number): Standing {
  if (places <= 0) return { turn: true, ahead: 0, wait: 0 }
  return { turn: false, ahead: places - 1, wait: s.rate > 0 && !s.paused ? ((s.delay_s ?? 0) + places / s.rate) * 1000 : -1 }
}

const minPoll = 2000

/** Milliseconds until the page asks again: when the turn is due, at the moment of opening (not before), else as the state says. */
export function nextPoll(s: State, now: number, st: Standing, u: number): number {
  let after = s.poll_after_s * 1000
  let jitter = u * s.poll_jitter_s * 1000
  if (s.phase === 'before' || s.phase === 'closed') {
    const until = Date.parse(s.opens_at) - now
    return until > 0 && until < after ? until + jitter : after + jitter
  }
  if (st.wait >= 0 && st.wait < after + jitter) {
    after = Math.max(st.wait, minPoll)
    jitter = (u * after) / 16
  }
  return after + jitter
}

/** For how many seconds a page with a new ticket relies on the wait that came with it. */
const firstLook = 10

/**
 * Milliseconds until the page asks after drawing a ticket whose turn comes in so many seconds, if that is known. The state was seen
 * before the crowd drew, and says how often those ask who are few.
 */
export function firstPoll(s: State, now: number, seconds: number | undefined, u: number): number {
  if (s.phase === 'open' && seconds !== undefined) {
    s = { ...s, poll_after_s: Math.max(s.poll_after_s, firstLook), poll_jitter_s: Math.max(s.poll_jitter_s, firstLook) }
  }
  return nextPoll(s, now, { turn: false, ahead: -1, wait: seconds === undefined ? -1 : seconds * 1000 }, u)
}
