import { describe, expect, it } from 'vitest'
import { submit, waitFor, type News, type Reply, type World } from '../src/submit.ts'

type Step = Reply | Error

const order: Reply = { status: 201, body: { id: 'o1', number: 'GNR27-000001', status: 'confirmed', status_url: 'https://x/orders/o1?token=t' }, retryAfter: null }
const found: Reply = { ...order, status: 200 }
const none: Reply = { status: 404, body: { code: 'no_such_order' }, retryAfter: null }
const proxy: Reply = { status: 502, body: null, retryAfter: null }
const broken = new Error('connection reset')
const refusal = (status: number, code: string, retryAfter: number | null = null, more: object = {}): Reply => ({ status, body: { code, ...more }, retryAfter })

/** A world that plays its script and notes what happened. */
function world(posts: Step[], finds: Step[] = [], more: Partial<World> = {}): World & { log: string[]; told: News[]; slept: number } {
  const play = (name: string, steps: Step[]) => async (): Promise<Reply> => {
    w.log.push(name)
    const step = steps.shift()
    if (!step) throw new Error(`${name} more often than the script has it`)
    if (step instanceof Error) throw step
    return step
  }
  const w = {
    log: [] as string[],
    told: [] as News[],
    slept: 0,
    post: play('post', posts),
    find: play('find', finds),
    online: async () => {},
    isOnline: () => true,
    sleep: async (ms: number) => {
      w.slept += ms
    },
    random: () => 0.5,
    tell: (news: News) => {
      w.told.push(news)
    },
    ...more,
  }
  return w
}

const quiet = new AbortController().signal

describe('submit', () => {
  it('ends with the order', async () => {
    const w = world([order])
    expect(await submit(w, quiet)).toEqual({ kind: 'order', order: order.body, earlier: false })
    expect(w.log).toEqual(['post'])
  })

  it('waits as long as a full server asks for, and never says that a place is booked', async () => {
    const w = world([refusal(503, 'overloaded', 3), refusal(503, 'overloaded', 2), order])
    expect((await submit(w, quiet)).kind).toBe('order')
    expect(w.log).toEqual(['post', 'post', 'post'])
    expect(w.slept).toBe(3500 + 2500)
    expect(w.told.filter((n) => n.kind === 'busy')[0]).toEqual({ kind: 'busy', seconds: 4 })
  })

  it('waits out a limit and a repeat in flight', async () => {
    const w = world([refusal(429, 'rate_limited', 30), refusal(409, 'idempotency_in_flight', 1), order])
    expect((await submit(w, quiet)).kind).toBe('order')
    expect(w.slept).toBe(30500 + 1500)
    expect(new Set(w.told.map((n) => n.kind))).toEqual(new Set(['sending', 'limited', 'in_flight']))
  })

  it.each([['a broken connection', broken], ['a proxy that gave up', proxy], ['an unknown outcome', refusal(503, 'outcome_unknown')], ['an error', refusal(500, 'internal')]])(
    'asks by key after %s before it sends again',
    async (_, step) => {
      const w = world([step], [found])
      expect(await submit(w, quiet)).toEqual({ kind: 'order', order: found.body, earlier: false })
      expect(w.log).toEqual(['post', 'find'])
      expect(w.told.map((n) => n.kind)).toContain('unknown')
    },
  )

  it('sends again once the server is sure that the key made nothing', async () => {
    const w = world([broken, order], [broken, proxy, none])
    expect((await submit(w, quiet)).kind).toBe('order')
    expect(w.log).toEqual(['post', 'find', 'find', 'find', 'post'])
  })

  it('takes no other 404 for certain', async () => {
    const w = world([broken], [{ status: 404, body: null, retryAfter: null }, found])
    expect((await submit(w, quiet)).kind).toBe('order')
    expect(w.log).toEqual(['post', 'find', 'find'])
  })

  it('shows the earlier order when the key has one from other answers', async () => {
    const w = world([refusal(422, 'idempotency_key_reused')], [found])
    expect(await submit(w, quiet)).toEqual({ kind: 'order', order: found.body, earlier: true })
  })

  it.each(['validation_failed', 'sold_out', 'already_registered', 'price_changed', 'closed', 'not_open', 'captcha_failed'])('hands %s to the visitor', async (code) => {
    const w = world([refusal(409, code, 5)])
    const answer = await submit(w, quiet)
    expect(answer).toMatchObject({ kind: 'refused', problem: { code } })
    expect(w.log).toEqual(['post'])
  })

  it('waits for the network before it asks', async () => {
    const log: string[] = []
    const w = world([broken], [found], {
      isOnline: () => false,
      online: async () => {
        log.push('online again')
      },
    })
    await submit(w, quiet)
    expect(log).toEqual(['online again'])
    expect(w.told.map((n) => n.kind)).toContain('offline')
  })

  it.each([
    ['while a full server is waited for', [refusal(503, 'overloaded', 9)], true],
    ['while nobody knows what became of it', [broken], false],
  ])('can be stopped %s', async (_, posts, sure) => {
    const stop = new AbortController()
    const w = world(posts as Step[], [broken], {
      sleep: async () => {
        stop.abort(new Error('stopped'))
        throw stop.signal.reason
      },
    })
    expect(await submit(w, stop.signal)).toEqual({ kind: 'stopped', sure })
  })
})

describe('waitFor', () => {
  it('spreads a crowd over the second after Retry-After', () => {
    expect(waitFor(3, 0, () => 0)).toBe(3000)
    expect(waitFor(3, 9, () => 0.999)).toBeCloseTo(3999)
  })

  it('doubles its ceiling up to half a minute', () => {
    expect([0, 1, 2, 10].map((n) => waitFor(null, n, () => 1))).toEqual([1500, 2500, 4500, 30500])
    expect(waitFor(null, 10, () => 0)).toBe(500)
  })
})
