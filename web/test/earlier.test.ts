import { beforeEach, describe, expect, it } from 'vitest'
import { answerEarlier, type Lookout } from '../src/earlier.ts'
import { keeperOf, Keys, type Keeper } from '../src/keep.ts'
import { Words } from '../src/text.ts'
import type { Reply } from '../src/submit.ts'

const words = new Words({ 'js.checking': 'Memeriksa…', 'js.found': 'Masuk: {number}.', 'js.found_go': 'Lihat', 'js.not_found': 'Belum masuk.' })
const order = { id: 'o1', number: 'GNR27-000007', status: 'confirmed', status_url: 'https://elsewhere.example/orders/o1?token=t' }

let kept: Keeper
let box: HTMLElement
let asked: string[]
beforeEach(() => {
  const values = new Map<string, string>()
  const storage = { getItem: (k: string) => values.get(k) ?? null, setItem: (k: string, v: string) => void values.set(k, v), removeItem: (k: string) => void values.delete(k) }
  kept = keeperOf(() => storage as unknown as Storage)
  document.documentElement.dataset.locale = 'id'
  document.body.innerHTML = '<p id="notice" hidden></p>'
  box = document.getElementById('notice')!
  asked = []
})

const world = (...replies: (Reply | Error)[]): Lookout => ({
  find: (key) => {
    asked.push(key)
    const reply = replies.shift()
    return reply instanceof Error || !reply ? Promise.reject(reply ?? new Error('asked too often')) : Promise.resolve(reply)
  },
  sleep: () => Promise.resolve(),
  random: () => 0,
})

function sent(): Keys {
  const keys = new Keys(kept, 'lari')
  keys.sending(keys.current().key)
  return keys
}

const look = (w: Lookout): Promise<void> => answerEarlier(box, { slug: 'lari', lang: 'id' }, words, kept, w)

describe('a form that is gone', () => {
  it('leads to the order of an attempt whose answer was lost, however long the server is away', async () => {
    const key = sent().peek()!.key
    await look(world(new Error('offline'), { status: 503, body: { code: 'overloaded' }, retryAfter: 1 }, { status: 200, body: order, retryAfter: null }))
    expect(asked).toEqual([key, key, key])
    expect(box.hidden).toBe(false)
    expect(box.textContent).toBe('Masuk: GNR27-000007. Lihat')
    expect(box.querySelector('a')!.getAttribute('href')).toBe('/orders/o1?token=t')
    expect(new Keys(kept, 'lari').peek()!.order).toBe('o1')
  })

  it('says that nothing was registered', async () => {
    const keys = sent()
    await look(world({ status: 404, body: { code: 'no_such_order' }, retryAfter: null }))
    expect(box.textContent).toBe('Belum masuk.')
    expect(keys.peek()!.sent).toBe(false)
  })

  it('asks nothing for a visitor who sent nothing', async () => {
    new Keys(kept, 'lari').current()
    await look(world())
    expect(asked).toEqual([])
    expect(box.hidden).toBe(true)
  })
})
