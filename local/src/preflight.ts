import type { Note } from './progress.ts';
export async function prepareMachine(_note: Note): Promise<void> {}
