/** What a browser may refuse: Safari in private mode, a full disk, a policy. Then things are kept as long as the page lives. */
export interface Keeper {
  get(name: string): string | null
  set(name: string, value: string): void
  remove(name: string): void
  readonly lasting: boolean
}

export function keeperOf(storage: () => Storage): Keeper {
  const memory = new Map<string, string>()
  let lasting = true
  const attempt = <T>(act: (s: Storage) => T): T | undefined => {
    try {
      return act(storage())
    } catch {
      lasting = false
      return undefined
    }
  }
  return {
    get: (name) => attempt((s) => s.getItem(name)) ?? memory.get(name) ?? null,
    set: (name, value) => {
      memory.set(name, value)
      attempt((s) => s.setItem(name, value))
    },
    remove: (name) => {
      memory.delete(name)
      attempt((s) => s.removeItem(name))
    },
    get lasting() {
      return lasting
    },
  }
}

/** The idempotency key of one filling of a form. */
export interface Attempt {
  key: string
  /** It may have reached the server: before a new one is made, the server is asked. */
  sent: boolean
  /** The order it made, as far as this browser heard. */
  order?: string
}

/** Keeps one key per event across retries, reloads and tabs, until the order's page was seen. */
export class Keys {
  private readonly name: string

  constructor(private readonly kept: Keeper, slug: string, private readonly make: () => string = newKey) {
    this.name = `gapura:${slug}:key`
  }

  /** The attempt under way, or null. */
  peek(): Attempt | null {
    const kept = parse<Attempt>(this.kept.get(this.name))
    return kept && typeof kept.key === 'string' && kept.key !== '' ? kept : null
  }

  /** The attempt under way; a new one if there is none. */
  current(): Attempt {
    return this.peek() ?? this.write({ key: this.make(), sent: false })
  }

  /** Notes that a key leaves the browser. Called before each sending: a page that dies meanwhile asks afterwards. Another
   * tab may have begun a new filling since; its key stays. */
  sending(key: string): void {
    const attempt = this.peek() ?? { key, sent: false }
    if (attempt.key === key && !attempt.sent) this.write({ ...attempt, sent: true })
  }

  /** Notes that the server made nothing of the key, so that nobody needs to ask. */
  clear(): void {
    const attempt = this.peek()
    if (attempt) this.write({ key: attempt.key, sent: false })
  }

  made(order: string): void {
    this.write({ ...this.current(), order })
  }

  /** Ends the attempt that made that order; another one goes on. */
  seen(order: string): boolean {
    if (this.peek()?.order !== order) return false
    this.drop()
    return true
  }

  drop(): void {
    this.kept.remove(this.name)
  }

  private write(attempt: Attempt): Attempt {
    this.kept.set(this.name, JSON.stringify(attempt))
    return attempt
  }
}

/** randomUUID exists on secure origins only; a phone that opens a server in its own network has none. */
export function newKey(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** The answers of a form by input name. */
export interface Draft {
  at: number
  people: number
  values: Record<string, string>
}

/** Two weeks, in milliseconds: longer than any opening is waited for, short enough for a borrowed device. */
const draftLife = 14 * 24 * 3600 * 1000

/** Keeps the answers of one event's form until the order is confirmed. */
export class Drafts {
  private readonly name: string

  constructor(private readonly kept: Keeper, slug: string, private readonly now: () => number = Date.now) {
    this.name = `gapura:${slug}:draft`
  }

  save(people: number, values: Record<string, string>): void {
    this.kept.set(this.name, JSON.stringify({ at: this.now(), people, values } satisfies Draft))
  }

  load(): Draft | null {
    const draft = parse<Draft>(this.kept.get(this.name))
    if (!draft || typeof draft.values !== 'object' || !Number.isInteger(draft.people)) return null
    if (this.now() - draft.at > draftLife) {
      this.drop()
      return null
    }
    return draft
  }

  drop(): void {
    this.kept.remove(this.name)
  }
}

function parse<T>(text: string | null): T | null {
  if (!text) return null
  try {
    return JSON.parse(text) as T
  } catch {
    return null
  }
}
