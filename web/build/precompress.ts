import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'

const textual = /\.(js|css|svg|json|txt)$/

/** Writes a .br and a .gz beside every textual file of the build: compressing best takes longer than a request may. */
export function precompress(): Plugin {
  let folder = ''
  return {
    name: 'precompress',
    apply: 'build',
    configResolved(config) {
      folder = join(config.root, config.build.outDir)
    },
    closeBundle() {
      for (const name of readdirSync(folder)) {
        if (textual.test(name)) compress(join(folder, name))
      }
    },
  }
}

function compress(file: string): void {
  const plain = readFileSync(file)
  const br = brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length },
  })
  const gz = gzipSync(plain, { level: 9 })
  // A compressed form that saves nothing only costs memory.
  if (br.length < plain.length) writeFileSync(file + '.br', br)
  if (gz.length < plain.length) writeFileSync(file + '.gz', gz)
}
