/** An order as the server answers with it. */
export interface Order {
  id: string
  number: string
  status: string
  status_url: string
}

/** A problem document (RFC 9457). */
export interface Problem {
  code: string
  detail?: string
  errors?: Fault[]
  [member: string]: unknown
}

export interface Fault {
  pointer: string
  code: string
  detail?: string
  [member: string]: unknown
}

/** What came back: body is null if it was no JSON, as from a proxy. */
export interface Reply {
  status: number
  body: unknown
  /** Seconds, from Retry-After. */
  retryAfter: number | null
}

/** How it ended. Earlier: the key had made that order from other answers. Sure: nothing was registered. */
export type Answer =
  | { kind: 'order'; order: Order; earlier: boolean }
  | { kind: 'refused'; problem: Problem }
  | { kind: 'stopped'; sure: boolean }

/** How it goes meanwhile; seconds count down to the next attempt. */
export type News =
  | { kind: 'sending' | 'unknown' | 'offline' }
  | { kind: 'busy' | 'limited' | 'in_flight' | 'unreachable'; seconds: number }

/** Everything outside that submitting needs. post and find reject when the network fails. */
export interface World {
  post(signal: AbortSignal): Promise<Reply>
  find(signal: AbortSignal): Promise<Reply>
  /** Resolves once the device is online, at once if it is. */
  online(signal: AbortSignal): Promise<void>
  isOnline(): boolean
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
  random(): number
  tell(news: News): void
}

/**
 * Sends a registration until there is an answer or the visitor stops it. Every attempt has the same key, so none can book
 * twice. When an answer was lost, the server is asked by key before anything is sent again: a crowded server answers that
 * sooner than an order.
 */
export async function submit(world: World, signal: AbortSignal): Promise<Answer> {
  const run = new Run(world, signal)
  try {
    return await run.untilAnswered()
  } catch (error) {
    if (signal.aborted) return { kind: 'stopped', sure: !run.unsure }
    throw error
  }
}

/** Looks once for the order that a key made: 'none' is certain, 'unknown' is not. */
export async function lookUp(world: Pick<World, 'find'>, signal: AbortSignal): Promise<Order | 'none' | 'unknown'> {
  try {
    const reply = await world.find(signal)
    if (isOrder(reply)) return reply.body as Order
    return reply.status === 404 && problemOf(reply)?.code === 'no_such_order' ? 'none' : 'unknown'
  } catch (error) {
    if (signal.aborted) throw error
    return 'unknown'
  }
}

/** Milliseconds to wait: what the server asks for plus up to a second, so that a crowd does not return as one; else full jitter. */
export function waitFor(retryAfter: number | null, failures: number, random: () => number): number {
  if (retryAfter !== null) return retryAfter * 1000 + random() * 1000
  const ceiling = Math.min(30_000, 1000 * 2 ** failures)
  return 500 + random() * ceiling
}

class Run {
  /** An attempt may have been heard by the server and its answer lost. */
  unsure = false
  private failures = 0

  constructor(private readonly world: World, private readonly signal: AbortSignal) {}

  async untilAnswered(): Promise<Answer> {
    for (;;) {
      this.signal.throwIfAborted()
      const answer = await this.once()
      if (answer) return answer
      this.failures++
    }
  }

  private async once(): Promise<Answer | null> {
    this.world.tell({ kind: 'sending' })
    let reply: Reply
    try {
      this.unsure = true
      reply = await this.world.post(this.signal)
    } catch {
      this.signal.throwIfAborted()
      return this.recover()
    }
    if (isOrder(reply)) return { kind: 'order', order: reply.body as Order, earlier: false }
    return this.refused(reply)
  }

  private async refused(reply: Reply): Promise<Answer | null> {
    const problem = problemOf(reply)
    switch (problem?.code) {
      case 'overloaded':
        this.unsure = false
        return this.pause('busy', reply.retryAfter)
      case 'rate_limited':
        this.unsure = false
        return this.pause('limited', reply.retryAfter)
      case 'idempotency_in_flight':
        return this.pause('in_flight', reply.retryAfter)
      case 'idempotency_key_reused':
        return this.earlier(problem)
    }
    if (!problem || reply.status >= 500) return this.recover()
    this.unsure = false
    return { kind: 'refused', problem }
  }

  /** The key already has an order: the visitor changed answers after an attempt whose answer was lost. */
  private async earlier(problem: Problem): Promise<Answer | null> {
    const found = await this.find()
    return found ? { kind: 'order', order: found, earlier: true } : { kind: 'refused', problem }
  }

  private async recover(): Promise<Answer | null> {
    const order = await this.find()
    if (order) return { kind: 'order', order, earlier: false }
    return this.pause('unreachable', null)
  }

  /** Asks until the server answers; null: the key made nothing. */
  private async find(): Promise<Order | null> {
    for (let failures = 0; ; failures++) {
      this.world.tell({ kind: this.world.isOnline() ? 'unknown' : 'offline' })
      await this.world.online(this.signal)
      const found = await lookUp(this.world, this.signal)
      if (found === 'none') {
        this.unsure = false
        return null
      }
      if (found !== 'unknown') return found
      await this.countdown('unreachable', waitFor(null, failures, this.world.random))
    }
  }

  private async pause(kind: 'busy' | 'limited' | 'in_flight' | 'unreachable', retryAfter: number | null): Promise<null> {
    await this.countdown(kind, waitFor(retryAfter, this.failures, this.world.random))
    return null
  }

  private async countdown(kind: 'busy' | 'limited' | 'in_flight' | 'unreachable', milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 1000) {
      this.world.tell({ kind, seconds: Math.ceil(left / 1000) })
      await this.world.sleep(Math.min(left, 1000), this.signal)
    }
  }
}

function isOrder(reply: Reply): boolean {
  const body = reply.body as Partial<Order> | null
  return reply.status >= 200 && reply.status < 300 && typeof body?.id === 'string' && typeof body.status_url === 'string'
}

function problemOf(reply: Reply): Problem | null {
  const body = reply.body as Partial<Problem> | null
  return typeof body?.code === 'string' ? (body as Problem) : null
}
