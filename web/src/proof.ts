import type { Keeper } from './keep.ts'
import { ranker, readTicket } from './queue.ts'
import { hex, sha256, unhex } from './sha256.ts'
import type { Words } from './text.ts'

export interface ProofData {
  slug: string
  list: string
  proof: string
}

interface Proof {
  commitment: string
  count?: number
  list_sha256?: string
  seed?: string
}

/** What checking found: a place from 1, or 0 for a number that did not draw. */
export interface Verdict {
  seedOK: boolean
  listOK: boolean
  place: number
  rank: string
}

/** Checks a published draw and finds a number's place in it, by counting those in front. */
export function verify(proof: Proof, list: string, number: string): Verdict {
  const seed = unhex(proof.seed ?? '')
  const seedOK = seed?.length === 32 && hex(sha256(seed)) === proof.commitment
  const listOK = hex(sha256(new TextEncoder().encode(list))) === proof.list_sha256
  const rankOf = ranker(proof.seed ?? '')
  const rank = rankOf(number)
  let ahead = 0
  let found = false
  for (const other of list.split('\n')) {
    if (other === number) found = true
    else if (other !== '') {
      const theirs = rankOf(other)
      if (theirs < rank || (theirs === rank && other < number)) ahead++
    }
  }
  return { seedOK, listOK, place: found ? ahead + 1 : 0, rank }
}

/** The page on which anyone checks a draw. */
export function proofPage(data: ProofData, words: Words, kept: Keeper): void {
  const form = document.querySelector<HTMLFormElement>('#own')
  const input = document.querySelector<HTMLInputElement>('#own-number')
  if (!form || !input) return
  const own = readTicket(kept.get(`gapura:${data.slug}:queue:ticket`) ?? '')
  if (own?.kind === 'drawn') input.value = own.number
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void check(data, words, input.value)
  })
}

async function check(data: ProofData, words: Words, typed: string): Promise<void> {
  const number = typed.toLowerCase().replaceAll(/\s/g, '')
  if (!/^[0-9a-f]{32}$/.test(number)) return show([line('error', words.say('draw.malformed'))])
  show([line('quiet', words.say('draw.working'))])
  try {
    const proof = (await read(data.proof).then((r) => r.json())) as Proof
    if (!proof.seed) return show([line('quiet', words.say('draw.early'))])
    const list = await read(data.list).then((r) => r.text())
    await new Promise((done) => setTimeout(done, 30)) // so that the word above is painted before the computation
    report(verify(proof, list, number), proof, words)
  } catch {
    show([line('error', words.say('draw.failed'))])
  }
}

async function read(path: string): Promise<Response> {
  const response = await fetch(path)
  if (!response.ok) throw new Error(String(response.status))
  return response
}

function report(v: Verdict, proof: Proof, words: Words): void {
  const lines = [
    line(v.seedOK ? 'check ok' : 'check bad', words.say(v.seedOK ? 'draw.ok_seed' : 'draw.bad_seed')),
    line(v.listOK ? 'check ok' : 'check bad', words.say(v.listOK ? 'draw.ok_list' : 'draw.bad_list')),
  ]
  if (v.place > 0) {
    lines.unshift(line('own-place', words.say('draw.place', { place: v.place, n: proof.count ?? 0 })), line('small', words.say('draw.rank', { rank: v.rank })))
  } else lines.unshift(line('error', words.say('draw.absent')))
  show(lines)
}

function show(lines: HTMLElement[]): void {
  document.getElementById('own-result')?.replaceChildren(...lines)
}

function line(className: string, text: string): HTMLElement {
  const p = document.createElement('p')
  p.className = className
  p.textContent = text
  return p
}
