/** The sentences of a page, put into it by the server in the visitor's language. */
export class Words {
  constructor(private readonly texts: Record<string, string>) {}

  has(key: string): boolean {
    return key in this.texts
  }

  /** The sentence under key with its placeholders filled; the key itself if there is none. */
  say(key: string, values: Record<string, unknown> = {}): string {
    const text = this.texts[key]
    if (text === undefined) return key
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole))
  }

  /** The sentence for a code, plain if a value it needs is missing; fallback if the code is new to this page. */
  about(group: string, code: string, values: Record<string, unknown> = {}, fallback = ''): string {
    const key = `${group}.${code}`
    if (!this.has(key)) return fallback || this.say(`${group}.unknown`)
    const said = this.say(key, values)
    return said.includes('{') && this.has(`${key}.plain`) ? this.say(`${key}.plain`) : said
  }
}

/** Reads the data that the server put into the page; an empty object on a page without. */
export function pageData<T>(root: Document = document): Partial<T> {
  const source = root.getElementById('data')?.textContent
  if (!source) return {}
  return JSON.parse(source) as Partial<T>
}

/** Whole rupiah as Indonesians write them: Rp250.000. */
export function rupiah(amount: number): string {
  const digits = String(Math.abs(amount)).replace(/\B(?=(\d{3})+$)/g, '.')
  return (amount < 0 ? '-' : '') + 'Rp' + digits
}
