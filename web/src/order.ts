import { countDown } from './countdown.ts'
import { Drafts, Keys, type Keeper } from './keep.ts'
import type { Words } from './text.ts'
import { clockSkew } from './world.ts'

/** The page of an order: it follows the order's status without a reload. */
export class OrderPage {
  private source: EventSource | null = null
  private poll = 0
  private stopCounting = (): void => undefined
  private refreshing = false
  private skew = 0

  constructor(
    private readonly words: Words,
    private readonly kept: Keeper,
    private readonly token: string,
  ) {}

  start(): void {
    this.settle()
    this.show()
    if (!this.waiting) return
    void clockSkew().then((skew) => {
      this.skew = skew
      this.show()
    })
    this.listen()
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible' && this.waiting) void this.refresh()
    })
  }

  private get root(): HTMLElement {
    return document.getElementById('order')!
  }

  private get waiting(): boolean {
    return this.root.dataset.waiting !== undefined
  }

  /** Whoever sees the order needs its key no more; the answers are kept until it is confirmed. */
  private settle(): void {
    const { slug = '', id = '', status } = this.root.dataset
    const own = new Keys(this.kept, slug).seen(id)
    if (own && status === 'confirmed') this.forget(slug)
    if (own && status !== 'confirmed') this.kept.set(`gapura:${slug}:draft-of`, id)
    if (status === 'confirmed' && this.kept.get(`gapura:${slug}:draft-of`) === id) this.forget(slug)
  }

  private forget(slug: string): void {
    new Drafts(this.kept, slug).drop()
    this.kept.remove(`gapura:${slug}:draft-of`)
  }

  private show(): void {
    this.stopCounting()
    const clock = this.root.querySelector<HTMLElement>('.hold .countdown')
    if (!clock) return
    this.stopCounting = countDown(clock, this.words, () => Date.now() + this.skew, () => {
      clock.replaceWith(Object.assign(document.createElement('p'), { textContent: this.words.say('js.hold_over') }))
      void this.refresh()
    })
  }

  private listen(): void {
    const path = `/api/v1/orders/${this.root.dataset.id}/stream?token=${encodeURIComponent(this.token)}`
    let opened = false
    const source = new EventSource(path)
    this.source = source
    source.addEventListener('status', (event) => {
      const change = JSON.parse((event as MessageEvent<string>).data) as { version: number }
      if (change.version > Number(this.root.dataset.version)) void this.refresh()
    })
    source.addEventListener('open', () => {
      // What happened while the connection was down is on the page only after asking.
      if (opened) void this.refresh()
      opened = true
      window.clearTimeout(this.poll)
      this.link(true)
    })
    source.addEventListener('error', () => {
      this.link(false)
      // A refused stream is closed for good; asking goes on slowly. A broken one the browser opens again by itself.
      if (source.readyState === EventSource.CLOSED) this.pollLater()
    })
  }

  /** 10 to 20 s: a hold lasts minutes, and thousands of pages may have lost their stream at once. */
  private pollLater(): void {
    window.clearTimeout(this.poll)
    this.poll = window.setTimeout(() => {
      void this.refresh().then(() => {
        if (!this.waiting) return
        this.pollLater()
      })
    }, 10_000 + Math.random() * 10_000)
  }

  private link(live: boolean): void {
    const line = this.root.querySelector<HTMLElement>('#link-state')
    if (!line) return
    line.classList.toggle('live', live)
    line.textContent = live ? (line.dataset.live ?? '') : this.words.say('js.reconnecting')
  }

  /** Takes the page's new state from the server, so that there is one place that words it. */
  async refresh(): Promise<void> {
    if (this.refreshing) return
    this.refreshing = true
    try {
      const response = await fetch(location.href, { cache: 'no-store' })
      if (!response.ok) return
      this.replace(new DOMParser().parseFromString(await response.text(), 'text/html'))
    } catch {
      this.link(false)
    } finally {
      this.refreshing = false
    }
  }

  private replace(next: Document): void {
    const fresh = next.getElementById('order')
    if (!fresh || Number(fresh.dataset.version) <= Number(this.root.dataset.version)) return
    this.root.replaceWith(document.adoptNode(fresh))
    document.title = next.title
    const said = document.getElementById('said')
    const status = this.words.say(`order.status.${fresh.dataset.status}`)
    if (said) said.textContent = this.words.say('js.changed', { status })
    this.settle()
    this.show()
    if (this.waiting) this.link(this.source?.readyState === EventSource.OPEN)
    else this.source?.close()
  }
}
