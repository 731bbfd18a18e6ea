import { describe, expect, it } from 'vitest'
import { parts, split } from '../src/countdown.ts'
import { composition, priceText, quote } from '../src/price.ts'
import { rupiah, Words } from '../src/text.ts'
import { retryAfter } from '../src/world.ts'

const categories = [
  { id: '10k', name: '10 K', price: 200000 },
  { id: 'fun', name: 'Fun Run', price: 0 },
]

describe('quote', () => {
  it('adds up what is chosen', () => {
    const { lines, total } = quote(categories, ['10k', 'fun', '10k'])
    expect(lines.map((l) => [l.category.id, l.count, l.amount])).toEqual([['10k', 2, 400000], ['fun', 1, 0]])
    expect(total).toBe(400000)
  })

  it('expects nothing while a choice is missing or unknown', () => {
    expect(quote(categories, [])).toEqual({ lines: [], total: null })
    expect(quote(categories, ['10k', '']).total).toBeNull()
    expect(quote(categories, ['10k', 'gone']).total).toBeNull()
  })

  it('expects an agreed sum for exactly the group it was named for', () => {
    const agreed = { of: composition(['10k', '10k']), total: 475000 }
    expect(quote(categories, ['10k', '10k'], agreed).total).toBe(475000)
    expect(quote(categories, ['10k'], agreed).total).toBe(200000)
  })
})

describe('rupiah', () => {
  it('is written as Indonesians do', () => {
    expect([0, 999, 1000, 250000, 1234567, -75000].map(rupiah)).toEqual(['Rp0', 'Rp999', 'Rp1.000', 'Rp250.000', 'Rp1.234.567', '-Rp75.000'])
    expect(priceText(0, 'Gratis')).toBe('Gratis')
  })
})

describe('countdown', () => {
  it('shows zero only when the time has come', () => {
    expect(split(1)).toEqual({ days: 0, hours: 0, minutes: 0, seconds: 1 })
    expect(split(0).seconds).toBe(0)
    expect(split(-5).seconds).toBe(0)
    expect(split(90061000)).toEqual({ days: 1, hours: 1, minutes: 1, seconds: 1 })
    expect(parts(split(1799000))).toEqual(['minutes', 'seconds'])
    expect(parts(split(7200000))).toEqual(['hours', 'minutes', 'seconds'])
  })
})

describe('Retry-After', () => {
  const of = (value: string): number | null => retryAfter(new Headers({ 'Retry-After': value }), Date.parse('2026-12-01T03:00:00Z'))
  it('is seconds or a date, at most ten minutes', () => {
    expect(of('3')).toBe(3)
    expect(of('Tue, 01 Dec 2026 03:00:07 GMT')).toBe(7)
    expect(of('Tue, 01 Dec 2026 02:00:00 GMT')).toBe(0)
    expect(of('99999')).toBe(600)
    expect(of('soon')).toBeNull()
    expect(retryAfter(new Headers())).toBeNull()
  })
})

describe('Words', () => {
  it('fills placeholders and leaves unknown ones', () => {
    const words = new Words({ a: '{n} dari {m}' })
    expect(words.say('a', { n: 1 })).toBe('1 dari {m}')
    expect(words.say('b')).toBe('b')
  })
})
