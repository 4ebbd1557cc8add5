import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { imageArchive, tar } from './image-archive.ts';

/** Names and contents of a tar archive's files, with their checksums verified. */
function untar(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let at = 0; archive[at] !== 0;) {
    const header = archive.subarray(at, at + 512);
    const text = (start: number, length: number): string =>
      header
        .subarray(start, start + length)
        .toString()
        .replace(/\0.*$/s, '');
    const size = Number.parseInt(text(124, 12), 8);
    const blank = Buffer.from(header).fill(' ', 148, 156);
    assert.equal(
      Number.parseInt(text(148, 8), 8),
      blank.reduce((sum, byte) => sum + byte, 0),
    );
    files.set(text(0, 100), archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

await test('a tar archive holds whole blocks and ends with two empty ones', () => {
  for (const size of [0, 1, 511, 512, 513]) {
    const archive = tar([{ name: 'file', content: Buffer.alloc(size, 'x'), mode: 0o644 }]);
    assert.equal(archive.length, 512 + Math.ceil(size / 512) * 512 + 1024, `${size} bytes`);
    assert.equal(untar(archive).get('file')?.length, size);
  }
});

await test('an image archive names each blob by its digest and the image by its reference', () => {
  const program = Buffer.from('program');
  const files = untar(imageArchive('localhost/test:1', [{ name: 'bin/program', content: program, mode: 0o755 }], ['/bin/program']));
  const blobs = [...files].filter(([name]) => name.startsWith('blobs/'));
  assert.equal(blobs.length, 3);
  for (const [name, content] of blobs) assert.equal(name, `blobs/sha256/${createHash('sha256').update(content).digest('hex')}`);
  assert.match(files.get('index.json')?.toString() ?? '', /"io.containerd.image.name":"localhost\/test:1"/);
  assert.ok(blobs.some(([, content]) => content.includes('bin/program') && content.includes(program)));
});
