import { beforeEach, describe, expect, it } from 'vitest'
import { Drafts, keeperOf, Keys, newKey } from '../src/keep.ts'

const kept = keeperOf(() => localStorage)
let n = 0
const make = (): string => `key-${++n}`

beforeEach(() => localStorage.clear())

describe('Keys', () => {
  it('makes one key and keeps it across pages and tabs', () => {
    const key = new Keys(kept, 'race', make).current().key
    expect(new Keys(keeperOf(() => localStorage), 'race', make).current().key).toBe(key)
    expect(new Keys(kept, 'other', make).current().key).not.toBe(key)
  })

  it('remembers that a key left the browser, until the server made nothing of it', () => {
    const keys = new Keys(kept, 'race', make)
    const { key } = keys.current()
    expect(keys.peek()?.sent).toBe(false)
    keys.sending(key)
    expect(new Keys(kept, 'race').peek()).toEqual({ key, sent: true })
    keys.clear()
    expect(keys.peek()).toEqual({ key, sent: false })
  })

  it('leaves the key of a newer filling alone', () => {
    const keys = new Keys(kept, 'race', make)
    const old = keys.current().key
    keys.drop()
    const next = keys.current().key
    keys.sending(old)
    expect(keys.peek()).toEqual({ key: next, sent: false })
  })

  it('ends with the page of its own order only', () => {
    const keys = new Keys(kept, 'race', make)
    const { key } = keys.current()
    expect(keys.seen('o1')).toBe(false)
    keys.made('o1')
    expect(keys.seen('o2')).toBe(false)
    expect(keys.peek()?.key).toBe(key)
    expect(keys.seen('o1')).toBe(true)
    expect(keys.current().key).not.toBe(key)
  })

  it('survives what others wrote into the storage', () => {
    for (const junk of ['', '{', 'null', '[]', '{"key":3}', '{"key":""}']) {
      localStorage.setItem('gapura:race:key', junk)
      expect(new Keys(kept, 'race', make).current().key).toMatch(/^key-/)
    }
  })
})

describe('newKey', () => {
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

  it('is a random UUID, also where randomUUID is missing', () => {
    expect(newKey()).toMatch(form)
    const own = Object.getOwnPropertyDescriptor(crypto, 'randomUUID')
    Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true })
    try {
      expect(newKey()).toMatch(form)
      expect(newKey()).not.toBe(newKey())
    } finally {
      if (own) Object.defineProperty(crypto, 'randomUUID', own)
      else Reflect.deleteProperty(crypto, 'randomUUID')
    }
  })
})

describe('a browser that refuses to store', () => {
  it('keeps the key as long as the page lives, and says so', () => {
    const refusing = keeperOf(() => {
      throw new DOMException('denied', 'SecurityError')
    })
    const keys = new Keys(refusing, 'race', make)
    const { key } = keys.current()
    expect(keys.current().key).toBe(key)
    expect(refusing.lasting).toBe(false)
    keys.drop()
    expect(keys.peek()).toBeNull()
  })
})

describe('Drafts', () => {
  it('gives the answers back, for two weeks', () => {
    let now = 1_000_000
    const drafts = new Drafts(kept, 'race', () => now)
    drafts.save(2, { '/contact/name': 'Siti' })
    expect(drafts.load()).toEqual({ at: now, people: 2, values: { '/contact/name': 'Siti' } })
    now += 15 * 24 * 3600 * 1000
    expect(drafts.load()).toBeNull()
    expect(localStorage.length).toBe(0)
  })
})
