import { describe, expect, it, vi } from 'vitest'
import { Captcha } from '../src/captcha.ts'

/** A widget whose answers are numbered; an Error is thrown instead. */
function widget(answers: (string | Error)[]): { loads: number; load: () => Promise<{ solve(): Promise<string> }> } {
  const w = {
    loads: 0,
    load: async () => {
      w.loads++
      return {
        solve: async () => {
          const next = answers.shift()
          if (next === undefined || next instanceof Error) throw next ?? new Error('asked too often')
          return next
        },
      }
    },
  }
  return w
}

describe('the captcha of a form', () => {
  it('is loaded and solved once, however often it is prepared', async () => {
    const w = widget(['a', 'b'])
    const captcha = new Captcha('altcha', w.load)
    captcha.prepare()
    captcha.prepare()
    expect(await captcha.token()).toBe('a')
    expect(await captcha.token()).toBe('a')
    expect(w.loads).toBe(1)
  })

  it('is solved anew after it was used', async () => {
    const w = widget(['a', 'b'])
    const captcha = new Captcha('altcha', w.load)
    expect(await captcha.token()).toBe('a')
    captcha.renew()
    expect(await captcha.token()).toBe('b')
    expect(w.loads).toBe(1)
  })

  it('is solved anew when it has become too old to be accepted', async () => {
    let now = 1_000_000
    const captcha = new Captcha('turnstile', widget(['a', 'b']).load, () => now)
    expect(await captcha.token()).toBe('a')
    now += 269_000
    expect(await captcha.token()).toBe('a')
    now += 2_000
    expect(await captcha.token()).toBe('b')
  })

  it('sends nothing when the provider cannot be reached, and tries again the next time', async () => {
    const w = widget([new Error('blocked'), 'a'])
    const captcha = new Captcha('turnstile', w.load)
    expect(await captcha.token()).toBe('')
    expect(await captcha.token()).toBe('a')
    expect(w.loads).toBe(2)
  })

  it('does not wait for a widget for ever', async () => {
    vi.useFakeTimers()
    const captcha = new Captcha('altcha', async () => ({ solve: () => new Promise<string>(() => undefined) }))
    const token = captcha.token()
    await vi.advanceTimersByTimeAsync(30_000)
    expect(await token).toBe('')
    vi.useRealTimers()
  })
})
