import { rupiah } from './text.ts'

export interface Category {
  id: string
  name: string
  price: number
}

export interface Line {
  category: Category
  count: number
  amount: number
}

export interface Quote {
  lines: Line[]
  /** null while a participant has no category, so that no half sum is sent as expected. */
  total: number | null
}

/** A total that the server named for exactly these participants: groups that cross the end of an early bird pay neither
 * price times their size. */
export interface Agreed {
  of: string
  total: number
}

export function composition(chosen: string[]): string {
  return chosen.join(',')
}

/** Adds up what the participants have chosen, at the prices the page shows. */
export function quote(categories: Category[], chosen: string[], agreed: Agreed | null = null): Quote {
  const lines: Line[] = []
  for (const category of categories) {
    const count = chosen.filter((id) => id === category.id).length
    if (count > 0) lines.push({ category, count, amount: count * category.price })
  }
  const counted = lines.reduce((n, line) => n + line.count, 0)
  if (counted === 0 || counted !== chosen.length) return { lines, total: null }
  const sum = lines.reduce((n, line) => n + line.amount, 0)
  return { lines, total: agreed?.of === composition(chosen) ? agreed.total : sum }
}

export function priceText(amount: number, free: string): string {
  return amount === 0 ? free : rupiah(amount)
}
