// Into the Python package: `headrace_server.page` serves what lies there.
import { defineConfig } from 'vite';

const server = process.env.HEADRACE_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  // Relative, so that the page works where the application is mounted below a path.
  base: './',
  build: {
    outDir: '../src/headrace_server/page',
    emptyOutDir: true,
    // These know light-dark() and field-sizing or do without it.
    target: ['chrome123', 'firefox121', 'safari17.5'],
    modulePreload: { polyfill: false },
    // A data: URL in a style sheet would need a wider policy for fonts.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 300,
    license: { fileName: 'licenses.md' },
  },
  server: {
    // `npm run dev` beside a server: HEADRACE_URL says where that listens.
    proxy: Object.fromEntries(['/v1', '/models', '/health'].map((path) => [path, server])),
  },
});
