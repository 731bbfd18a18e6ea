// The server under test: the one in GAPURA_URL, else one that is started from the command in GAPURA_BIN ("bin/gapura demo"
// if unset) on a free port with a data folder of its own.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

export async function start() {
  if (process.env.GAPURA_URL) return { url: process.env.GAPURA_URL.replace(/\/$/, ''), stop: async () => {} }
  const [command, ...args] = (process.env.GAPURA_BIN ?? 'bin/gapura demo').split(' ')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const folder = await mkdtemp(join(tmpdir(), 'gapura-e2e-'))
  const env = { ...process.env, HTTP_ADDR: `127.0.0.1:${port}`, APP_URL: url, DB_CONNECTION: 'sqlite', DB_DATABASE: join(folder, 'gapura.sqlite') }
  const child = spawn(resolve(root, command), args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const out of [child.stdout, child.stderr]) out.on('data', (chunk) => (said += chunk))
  const ended = new Promise((done) => child.once('exit', done))
  const stop = async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
    await ended
    clearTimeout(late)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await answering(url, child, () => said)
  } catch (error) {
    await stop()
    throw error
  }
  return { url, stop, folder, env }
}

async function answering(url, child, said) {
  for (const until = Date.now() + 60_000; Date.now() < until; ) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${said()}`)
    try {
      const response = await fetch(`${url}/healthz`)
      if (response.ok) return
    } catch {
      // Not listening yet.
    }
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`the server does not answer at ${url}:\n${said()}`)
}

function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer()
    probe.once('error', fail)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => done(port))
    })
  })
}
