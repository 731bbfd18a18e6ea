// The waiting room in real browsers: two visitors draw, wait, are called in the order of the draw and register; one on a phone
// without script. `node web/e2e/waiting.mjs`. It applies events of its own, so it starts its own server.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { obstacles } from './access.mjs'
import { launch, somebody } from './browser.mjs'
import { start } from './server.mjs'

const run = promisify(execFile)
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const program = resolve(root, (process.env.GAPURA_BIN ?? 'bin/gapura').split(' ')[0])
const shots = process.env.GAPURA_SHOTS
if (shots) mkdirSync(shots, { recursive: true })
const sizes = { phone: { width: 360, height: 740 }, desk: { width: 1280, height: 900 } }

const folder = mkdtempSync(join(tmpdir(), 'gapura-waiting-'))
process.env.GAPURA_BIN = `${program} serve`
process.env.DRAW_CLOSES_BEFORE = '8s'
let server = await start()
const browser = await launch()
let failed = 0
try {
  for (const [name, work] of [
    ['two browsers draw and enter in order', drawn],
    ['paused, resumed, held, sold out', states],
    ['without script, on a phone', plain],
    ['one person, one number', onePerson],
    ['one person without script, by the link of the mail', onePersonPlain],
    ['a captcha before a number', withCaptcha],
    ['two browsers among ten thousand', amongMany],
  ]) {
    if (process.env.GAPURA_E2E ? !name.includes(process.env.GAPURA_E2E) : work === amongMany && !process.env.GAPURA_LONG) continue
    const began = Date.now()
    try {
      await work()
      console.log(`ok    ${name} (${Date.now() - began} ms)`)
    } catch (error) {
      failed++
      console.log(`FAIL  ${name}\n${error.stack}`)
    }
  }
} finally {
  await browser.close()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failed > 0 ? 1 : 0

/** Runs a command against the server's database. */
async function gapura(...args) {
  const { stdout } = await run(program, args, { cwd: server.folder, env: server.env })
  return stdout
}

/** Applies an event that opens after so many seconds. */
async function race(slug, code, opensIn, { size = 500, price = 0, preQueue = 'draw', person = '', year = 2098 } = {}) {
  const opens = new Date(Math.ceil((Date.now() + opensIn * 1000) / 1000) * 1000)
  const local = new Date(opens.getTime() + 7 * 3600_000).toISOString().slice(0, 19)
  const file = join(folder, `${slug}.yaml`)
  writeFileSync(file, `slug: ${slug}
code: ${code}
name: {id: Bandung Fajar Run, en: Bandung Dawn Run}
timezone: Asia/Jakarta
starts_at: ${year}-03-07T18:00
venue: {name: Lapangan Gasibu, city: Bandung}
registration: {opens_at: ${local}, closes_at: ${year}-02-20T23:59, hold: 30m, max_participants: 3, unique_by: [email, phone]}
categories:
  - {id: fun, name: {id: Fun Run, en: Fun Run}, distance_m: 5000, price: ${price}}
quotas:
  - {id: total, size: ${size}, categories: [fun]}
waiting_room: {enabled: true, pre_queue: ${preQueue}${person && `, person: ${person}`}}
`)
  await gapura('event', 'apply', file)
  for (const until = Date.now() + 10_000; Date.now() < until; ) {
    if ((await fetch(`${server.url}/api/v1/events/${slug}/queue`)).ok) return opens
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`${slug} has no waiting room`)
}

async function visitor(options = {}) {
  const context = await browser.newContext({ baseURL: server.url, viewport: sizes.desk, ...options })
  context.setDefaultTimeout(30_000)
  const page = await context.newPage()
  page.noise = []
  page.on('pageerror', (error) => page.noise.push(error.message))
  page.on('console', (message) => /Content Security Policy|Refused to/.test(message.text()) && page.noise.push(message.text()))
  return page
}

/** A picture at both sizes, and what stands in the way of people who see little. */
async function look(page, name) {
  const size = page.viewportSize()
  for (const [kind, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport)
    if (shots) await page.screenshot({ path: `${shots}/${name}-${kind}.png`, fullPage: true })
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
    assert.ok(!wide, `${name} overflows at ${viewport.width}`)
    assert.deepEqual(await page.evaluate(obstacles), [], `${name} at ${viewport.width}`)
  }
  await page.setViewportSize(size)
}

function head(page, pattern) {
  return page.waitForFunction((p) => new RegExp(p).test(document.getElementById('room-head').textContent), pattern)
}

async function fillForm(page) {
  const who = somebody('Siti Aminah')
  for (const part of ['name', 'email', 'phone']) await page.fill(`[name="/contact/${part}"]`, who[part])
  await page.check('[name="/participants/0/category"][value="fun"]')
  await page.fill('[name="/participants/0/birth_date"]', '1994-05-02')
  await page.check('[name="/participants/0/gender"][value="female"]')
}

async function drawn() {
  const slug = 'fajar-run'
  const opens = await race(slug, 'BFA', 32)
  const pages = [await visitor(), await visitor()]
  const numbers = []
  for (const page of pages) {
    await page.goto(`/e/${slug}`)
    await page.click('.entry .button')
    await page.waitForURL(`**/e/${slug}/antre`)
    await head(page, 'Tidak perlu')
    if (page === pages[0]) await look(page, 'before-no-ticket')
    await page.click('#room-actions .button')
    await head(page, 'sudah tercatat')
    numbers.push((await page.textContent('#room-number')).replaceAll(' ', ''))
  }
  assert.notEqual(numbers[0], numbers[1])
  await look(pages[0], 'before-ticket')
  // The form before the rush: filled and checked while waiting, and not sent.
  await pages[0].click('#room-actions .button')
  await pages[0].waitForURL('**/daftar')
  await fillForm(pages[0])
  await pages[0].click('#send')
  await pages[0].waitForFunction(() => /lengkap/.test(document.getElementById('notice').textContent))
  await look(pages[0], 'form-waiting')
  await pages[0].goto(`/e/${slug}/antre`)
  await pages[0].reload()
  await head(pages[0], 'sudah tercatat|diundi')
  assert.equal((await pages[0].textContent('#room-number')).replaceAll(' ', ''), numbers[0], 'a reload keeps the ticket')
  const tab = await pages[0].context().newPage()
  await tab.goto(`/e/${slug}/antre`)
  await tab.waitForSelector('#room-ticket:not([hidden])')
  assert.equal((await tab.textContent('#room-number')).replaceAll(' ', ''), numbers[0], 'a second tab has the same ticket')
  await tab.close()
  await head(pages[1], 'Sebentar lagi diundi')
  await look(pages[1], 'closed')
  await gapura('room', 'ceiling', slug, '0.2') // five seconds apart: a page may ask three seconds late
  const order = []
  await Promise.all(
    pages.map(async (page, i) => {
      await page.waitForFunction(() => /Silakan masuk/.test(document.getElementById('room-head').textContent), null, { timeout: 60_000 })
      assert.ok(Date.now() >= opens.getTime(), 'nobody enters before opening')
      order.push(i)
    }),
  )
  await look(pages[0], 'turn')
  const said = await gapura('draw', 'verify', `${server.url}/e/${slug}`, '--number', numbers[order[0]])
  assert.match(said, /place 1 of 2/, 'who entered first stood first in the draw')
  await pages[0].click('#room-actions .button')
  await pages[0].waitForURL(/\/orders\//)
  await pages[0].waitForSelector('#order[data-status=confirmed]')
  await pages[1].click('#room-actions .button')
  await pages[1].waitForURL('**/daftar')
  await fillForm(pages[1])
  await look(pages[1], 'form-turn')
  await pages[1].click('#send')
  await pages[1].waitForSelector('#order[data-status=confirmed]')
  await proof(slug, numbers[0])
  // The pass was for that order: coming back leads to the end of the line, not in.
  await pages[0].goto(`/e/${slug}/antre`)
  await head(pages[0], 'sudah dipakai')
  await look(pages[0], 'used')
  for (const page of pages) {
    assert.deepEqual(page.noise, [])
    await page.context().close()
  }
}

/** Ten thousand draw, wait and register beside two browsers, at a pace at which a page that asks three seconds late keeps its order. */
async function amongMany() {
  const slug = 'raya-run'
  const crowd = 10_000
  const pace = 300
  await race(slug, 'BRY', 60, { size: crowd + 2, year: new Date().getFullYear() + 2 }) // a rehearsal's runners are of age at the race
  await gapura('room', 'ceiling', slug, String(pace))
  const rehearsal = run(
    program,
    ['rehearse', '--url', server.url, '--event', slug, '--curve', 'spike', '--orders', String(crowd), '--pure', '--lead', '45s', '--reaction', '1s',
      '--patience', '5m', '--connections', '512', '--verify', '1000', '--out', join(folder, 'crowd')],
    { cwd: server.folder, env: server.env, maxBuffer: 64 << 20 },
  )
  const verdict = rehearsal.catch((error) => Promise.reject(new Error(error.stdout.slice(-4000) + error.stderr)))
  verdict.catch(() => {}) // awaited below
  const pages = [await visitor(), await visitor()]
  const numbers = []
  for (const page of pages) {
    await page.goto(`/e/${slug}/antre`)
    await page.click('#room-actions .button')
    await head(page, 'sudah tercatat')
    numbers.push((await page.textContent('#room-number')).replaceAll(' ', ''))
  }
  const order = []
  await Promise.all(
    pages.map(async (page, i) => {
      await page.waitForFunction(() => /Silakan masuk/.test(document.getElementById('room-head').textContent), null, { timeout: 240_000 })
      order.push(i)
      if (order.length === 1) await look(page, 'turn-among-many')
      await page.click('#room-actions .button')
      await page.waitForURL('**/daftar')
      await fillForm(page)
      await page.click('#send')
      await page.waitForSelector('#order[data-status=confirmed]')
    }),
  )
  const places = []
  for (const number of numbers) {
    const said = await gapura('draw', 'verify', `${server.url}/e/${slug}`, '--number', number)
    const [, place, of] = said.match(/place ([\d.,]+) of ([\d.,]+)/).map((n) => Number(n.replaceAll(/[.,]/g, '')))
    assert.ok(of > crowd / 2, `${of} drew`)
    places.push(place)
  }
  if (Math.abs(places[0] - places[1]) > 5 * pace) assert.deepEqual(order, places[0] < places[1] ? [0, 1] : [1, 0], `places ${places}`)
  console.log(`      places ${places.join(' and ')}, entered ${order.map((i) => places[i]).join(', then ')}`)
  const { stdout } = await verdict // it fails if the line was not kept, or anything was lost or sold twice
  console.log(stdout.match(/Everything that was acknowledged.*/)?.[0] ?? stdout.slice(-2000))
  for (const page of pages) {
    assert.deepEqual(page.noise, [])
    await page.context().close()
  }
}

async function proof(slug, number) {
  const page = await visitor()
  await page.goto(`/e/${slug}/undian`)
  await page.fill('#own-number', number)
  await page.click('#own button')
  await page.waitForSelector('#own-result .own-place')
  assert.match(await page.textContent('#own-result .own-place'), /Tempat [12] dari 2/)
  assert.equal(await page.locator('#own-result .check.ok').count(), 2)
  await look(page, 'proof')
  await page.fill('#own-number', 'f'.repeat(32))
  await page.click('#own button')
  await page.waitForSelector('#own-result .error')
  await page.context().close()
}

async function ticket(slug) {
  const answer = await fetch(`${server.url}/api/v1/events/${slug}/queue/tickets`, { method: 'POST' })
  assert.equal(answer.status, 201)
  return answer.json()
}

async function states() {
  const slug = 'senja-run'
  await race(slug, 'BSE', 3, { size: 1, price: 150000, preQueue: 'fifo' })
  await gapura('room', 'pause', slug)
  const page = await visitor()
  await page.goto(`/e/${slug}/antre`)
  await head(page, 'Ambil tempatmu')
  const first = await ticket(slug)
  for (let i = 0; i < 40; i++) await ticket(slug)
  await page.click('#room-actions .button')
  await head(page, 'dijeda')
  await look(page, 'paused')
  await gapura('room', 'ceiling', slug, '0.05')
  await gapura('room', 'resume', slug)
  await head(page, 'orang di depanmu')
  await look(page, 'waiting')
  await gapura('room', 'let-in', slug, '1')
  const key = crypto.randomUUID()
  const pass = await until(async () => {
    const answer = await fetch(`${server.url}/api/v1/events/${slug}/queue/passes`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ ticket: first.ticket, idempotency_key: key }),
    })
    return answer.status === 201 ? (await answer.json()).pass : null
  })
  const who = somebody()
  const order = await fetch(`${server.url}/api/v1/events/${slug}/orders`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, 'Queue-Pass': pass },
    body: JSON.stringify({ contact: who, participants: [{ category: 'fun', ...who, birth_date: '1994-05-02', gender: 'female' }] }),
  })
  assert.equal(order.status, 201, await order.clone().text())
  await head(page, 'sedang dipesan')
  await look(page, 'held')
  await page.context().close()

  const full = 'pagi-run'
  await race(full, 'BPA', 3, { size: 1, preQueue: 'fifo' })
  const winner = await visitor()
  await winner.goto(`/e/${full}/antre`)
  await winner.click('#room-actions .button')
  await head(winner, 'Silakan masuk')
  const late = await visitor()
  await late.goto(`/e/${full}/antre`)
  await winner.click('#room-actions .button')
  await fillForm(winner)
  await winner.click('#send')
  await winner.waitForSelector('#order[data-status=confirmed]')
  await head(late, 'sudah terjual')
  await look(late, 'sold-out')
  await winner.context().close()
  await late.context().close()
}

async function until(work) {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((done) => setTimeout(done, 100))) {
    const got = await work()
    if (got) return got
  }
  throw new Error('it never came')
}

async function plain() {
  const slug = 'malam-run'
  await race(slug, 'BMA', 10, { preQueue: 'fifo' })
  const page = await visitor({ javaScriptEnabled: false, viewport: sizes.phone })
  await page.goto(`/e/${slug}/antre`)
  await page.waitForURL('**plain=1')
  if (shots) await page.screenshot({ path: `${shots}/plain-none.png`, fullPage: true })
  await page.click('#room-actions button')
  await page.waitForSelector('#room-number:not(:empty)')
  await page.waitForSelector('h1:has-text("Silakan masuk")') // it loads itself again
  if (shots) await page.screenshot({ path: `${shots}/plain-turn.png`, fullPage: true })
  await page.click('#room-actions .button')
  await page.waitForURL('**form=1')
  await fillForm(page)
  await page.click('#send')
  await page.waitForSelector('#order[data-status=confirmed]')
  await page.context().close()
}

/** The newest mail to an address, as its owner reads it: the code, and where its button leads. */
function mailTo(page, address) {
  return until(async () => {
    const list = await (await page.request.get(`/_mailbox?q=${encodeURIComponent(address)}`)).text()
    for (const [, path] of list.matchAll(/<li><a href="(\/_mailbox\/[^"?#]+)"/g)) {
      const mail = (await (await page.request.get(`${path}/html`)).text()).replaceAll('&amp;', '&')
      const link = mail.match(/\/e\/[a-z-]+\/antre\?[^"<\s]*konfirmasi=[0-9a-f]{32}[^"<\s]*/)
      if (link) return { path, link: link[0], code: link[0].match(/kode=(\d{6})/)[1] }
    }
    return null
  })
}

async function askFor(page, address) {
  await page.waitForSelector('#room-email:visible')
  await page.fill('#room-address', address)
  await page.click('#room-email button')
  await head(page, 'sudah dikirim')
}

async function number(page) {
  await page.waitForSelector('#room-ticket:not([hidden])')
  return (await page.textContent('#room-number')).replaceAll(' ', '')
}

async function onePerson() {
  const slug = 'satu-run'
  await race(slug, 'BSA', 40, { person: 'email' })
  const who = somebody('Siti Aminah')
  const page = await visitor()
  await page.goto(`/e/${slug}/antre`)
  await head(page, 'Satu orang')
  await look(page, 'person-email')
  await page.fill('#room-address', 'bukan alamat')
  await page.click('#room-email button')
  await page.waitForSelector('#room-address-error:visible')
  await askFor(page, who.email.toUpperCase())
  await look(page, 'person-code')
  const { code, path } = await mailTo(page, who.email)
  await page.fill('#room-digits', code === '000000' ? '111111' : '000000')
  await page.click('#room-code button[type=submit]')
  await page.waitForFunction(() => /Sisa percobaan: 4/.test(document.getElementById('room-digits-error').textContent))
  await look(page, 'person-wrong-code')
  assert.ok(await page.isDisabled('#room-resend'), 'it is not sent again at once')
  await page.reload()
  await head(page, 'sudah dikirim') // a reload loses nothing
  await page.fill('#room-digits', `${code.slice(0, 3)} ${code.slice(3)}`)
  await page.click('#room-code button[type=submit]')
  const mine = await number(page)
  await look(page, 'person-number')
  await page.reload()
  assert.equal(await number(page), mine, 'a reload keeps the number')

  const phone = await visitor({ viewport: sizes.phone }) // the same person elsewhere
  await phone.goto(`/e/${slug}/antre`)
  await askFor(phone, who.email)
  const second = await until(async () => {
    const mail = await mailTo(phone, who.email)
    return mail.path !== path && mail
  })
  await phone.goto(second.link)
  await head(phone, 'Masukkan kodemu')
  await look(phone, 'person-link')
  await phone.click('#room-code button[type=submit]')
  assert.equal(await number(phone), mine, 'another browser has the same number')
  await phone.context().close()

  const mail = await visitor()
  await mail.goto(`${path}/html`)
  if (shots) {
    for (const [kind, viewport] of Object.entries(sizes)) {
      await mail.setViewportSize(viewport)
      await mail.screenshot({ path: `${shots}/person-mail-${kind}.png`, fullPage: true })
    }
  }
  await mail.context().close()

  await page.goto(`/e/${slug}/daftar`)
  await page.waitForFunction(() => document.querySelector('[name="/contact/email"]').value !== '')
  assert.equal(await page.inputValue('[name="/contact/email"]'), who.email, 'the form knows the confirmed address')
  await fillForm(page) // with another one
  await page.click('#send')
  await page.waitForSelector('#f-contact-email-error:visible')
  assert.match(await page.textContent('#f-contact-email-error'), /kamu konfirmasi/)
  await look(page, 'person-form')
  await page.fill('[name="/contact/email"]', who.email)
  await page.fill('[name="/contact/phone"]', who.phone)
  await page.click('#send')
  await page.waitForFunction(() => /lengkap/.test(document.getElementById('notice').textContent))
  await page.goto(`/e/${slug}/antre`)
  await page.waitForFunction(() => /Silakan masuk/.test(document.getElementById('room-head').textContent), null, { timeout: 60_000 })
  await page.click('#room-actions .button')
  await page.waitForSelector('#order[data-status=confirmed]')
  assert.deepEqual(page.noise, [])
  await page.context().close()
}

async function onePersonPlain() {
  const slug = 'dua-run'
  await race(slug, 'BDU', 12, { preQueue: 'fifo', person: 'email' })
  const who = somebody('Budi Santoso')
  const page = await visitor({ javaScriptEnabled: false, viewport: sizes.phone })
  await page.goto(`/e/${slug}/antre`)
  await page.waitForURL('**plain=1')
  if (shots) await page.screenshot({ path: `${shots}/person-plain-email.png`, fullPage: true })
  await page.fill('#room-address', who.email)
  await page.click('#room-email button')
  await page.waitForURL('**konfirmasi=*')
  await page.fill('#room-digits', '12')
  await page.click('#room-code button')
  await page.waitForSelector('#room-digits-error:visible')
  if (shots) await page.screenshot({ path: `${shots}/person-plain-code.png`, fullPage: true })
  const { link } = await mailTo(page, who.email)
  await page.goto(link)
  await page.click('#room-code button')
  await page.waitForSelector('#room-number:not(:empty)')
  await page.waitForSelector('h1:has-text("Silakan masuk")')
  await page.click('#room-actions .button')
  await page.waitForURL('**form=1')
  await fillForm(page)
  await page.click('#send')
  await page.waitForSelector('#f-contact-email-error:visible') // another address than the confirmed one
  await page.fill('[name="/contact/email"]', who.email)
  await page.click('#send')
  await page.waitForSelector('#order[data-status=confirmed]')
  await page.context().close()
}

/** ALTCHA's own widget solves what the server asks for; a number without it is refused, and one answer serves one browser. */
async function withCaptcha() {
  const plainServer = server
  process.env.CAPTCHA_PROVIDER = 'altcha'
  try {
    server = await start()
    const slug = 'jaga-run'
    await race(slug, 'BJA', 60)
    const bare = await fetch(`${server.url}/api/v1/events/${slug}/queue/tickets`, { method: 'POST' })
    assert.equal(bare.status, 403)
    assert.equal((await bare.json()).code, 'captcha_failed')
    const page = await visitor()
    const sent = []
    page.on('request', (r) => r.method() === 'POST' && r.url().endsWith('/tickets') && sent.push(r.postDataJSON()?.captcha))
    await page.goto(`/e/${slug}/antre`)
    await head(page, 'Tidak perlu')
    await page.click('#room-actions .button')
    await page.waitForSelector('altcha-widget', { state: 'attached' })
    await look(page, 'captcha')
    const mine = await number(page)
    assert.match(mine, /^[0-9a-f]{32}$/)
    assert.equal(sent.length, 1)
    const answer = JSON.parse(atob(sent[0]))
    assert.equal(answer.algorithm, 'SHA-256')
    const again = await fetch(`${server.url}/api/v1/events/${slug}/queue/tickets`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() }, body: JSON.stringify({ captcha: sent[0] }),
    })
    assert.equal(again.status, 403, 'the answer serves nobody else')
    assert.equal((await again.json()).reason, 'used')
    assert.deepEqual(page.noise, [])
    await page.context().close()

    const person = 'jaga-satu-run'
    await race(person, 'BJS', 60, { person: 'email' })
    const who = somebody('Made Putra')
    const other = await visitor({ viewport: sizes.phone })
    await other.goto(`/e/${person}/antre`)
    await askFor(other, who.email)
    const { code } = await mailTo(other, who.email)
    await other.fill('#room-digits', code)
    await other.click('#room-code button[type=submit]')
    assert.match(await number(other), /^[0-9a-f]{32}$/)
    assert.deepEqual(other.noise, [])
    await other.context().close()
  } finally {
    delete process.env.CAPTCHA_PROVIDER
    if (server !== plainServer) await server.stop()
    server = plainServer
  }
}
