"""A TCP relay between an edge and a key server that delays, stalls, cuts or swallows, for tests. One thread, any number of connections."""
import asyncio
import threading


class Relay:
    """Forwards to (host, port); `delay` seconds each way; `stall()` holds every byte back; `cut()` resets what is open.
    `swallow()` makes a black hole of what is open, as a NAT does that has forgotten: nothing passes any more, nor the end.

    `seen` has one entry for each connection that the far side has ended: (bytes that came from it, "fin" or "reset").
    `tapes` has one for each connection: what went to the far side and what came back, as two bytearrays.
    """

    def __init__(self, host, port, delay=0.0):
        self.target, self.delay, self.tapes = (host, port), delay, []
        self.loop = asyncio.new_event_loop()
        self.open, self.writers, self.seen, self.holes = None, set(), [], set()
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self.thread.start()
        started.wait()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def _run(self, started):
        asyncio.set_event_loop(self.loop)
        self.open = asyncio.Event()
        self.open.set()
        self.server = self.loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()

    async def _accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self.writers |= {writer, far_writer}
        to, back = bytearray(), bytearray()
        self.tapes.append((to, back))
        await asyncio.gather(self._pump(reader, far_writer, to), self._pump(far_reader, writer, back, self.seen))
        self.writers -= {writer, far_writer}
        if writer in self.holes:
            far_writer.transport.abort()

    async def _pump(self, reader, writer, tape, seen=None):
        """Each piece leaves `delay` after it came, whatever was sent before: a long wire, not a slow one."""
        queue = asyncio.Queue()

        async def send():
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0, due - self.loop.time()))
                await self.open.wait()
                if writer in self.holes:
                    continue
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

        sender = asyncio.ensure_future(send())
        count, end = 0, "fin"
        try:
            while True:
                data = await reader.read(65536)
                tape += data
                queue.put_nowait((self.loop.time() + self.delay, data))
                count += len(data)
                if not data:
                    break
        except OSError:
            end = "reset"
        if seen is not None:
            seen.append((count, end))
        try:
            if end == "fin":
                await sender
        except OSError:
            end = "reset"
        if end == "reset":
            sender.cancel()
            writer.transport.abort()

    def _call(self, function):
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (function(), done.set()))
        done.wait(10)

    def stall(self):
        self._call(self.open.clear)

    def resume(self):
        self._call(self.open.set)

    def swallow(self):
        self._call(lambda: self.holes.update(self.writers))

    def cut(self):
        self._call(lambda: [w.transport.abort() for w in list(self.writers)])

    def close(self):
        async def finish():
            self.server.close()
            for writer in list(self.writers):
                writer.transport.abort()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.loop.stop()
        asyncio.run_coroutine_threadsafe(finish(), self.loop)
        self.thread.join(10)
        if not self.thread.is_alive():
            self.loop.close()
