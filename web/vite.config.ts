import { defineConfig } from 'vitest/config'
import { precompress } from './build/precompress.ts'

// The program embeds what lands in outDir, so the folder lies in the Go package that serves it.
export default defineConfig({
  base: '/assets/',
  build: {
    outDir: '../internal/site/assets/dist',
    emptyOutDir: true,
    manifest: true,
    target: ['chrome100', 'firefox100', 'safari15.4'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: ['src/main.ts'],
      output: {
        entryFileNames: '[name]-[hash].js',
        chunkFileNames: '[name]-[hash].js',
        assetFileNames: '[name]-[hash][extname]',
      },
    },
  },
  plugins: [precompress()],
  test: { environment: 'happy-dom', include: ['test/**/*.test.ts'] },
})
