using System.Globalization;
using BenchmarkDotNet.Attributes;
using Postwright.Core.Logging;
using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Scheduling;

namespace Postwright.Bench;

/// <summary>The choice of the next delivery: put a message in line, take the next one, note its success, with so many other messages waiting.</summary>
public class SchedulerBenchmarks
{
    private static readonly TimeSpan Now = TimeSpan.Zero;
    private TransportQueue _transport = null!;
    private Destination _destination = null!;

    /// <summary>Messages that wait for a destination whose window is used up.</summary>
    [Params(0, 50_000)]
    public int Waiting { get; set; }

    [GlobalSetup]
    public void Prepare()
    {
        _transport = new TransportQueue("smtp", new TransportService(new DiscardTransport(), new TransportLimits(), new MailLog(new NoLog(), "postfix/qmgr", 1)));
        _destination = _transport.Destination("example.net", "example.net");
        Destination closed = _transport.Destination("dead.example", "dead.example");
        closed.Busy = closed.Window;
        for (int i = 0; i < Waiting; i++)
        {
            Enqueue(i.ToString(CultureInfo.InvariantCulture), closed);
        }
    }

    [Benchmark(Description = "Scheduler, one message in and out")]
    public object Choose()
    {
        Enqueue("4XyZ12abcD", _destination);
        if (!_transport.TryTake(Now, out Peer peer) || peer.Destination != _destination)
        {
            throw new InvalidOperationException("another message was chosen");
        }

        _destination.Busy++;
        _destination.Succeeded();
        _destination.Busy--;
        return peer;
    }

    private void Enqueue(string queueId, Destination destination)
    {
        Peer peer = new ActiveMessage(queueId).JobFor(_transport).PeerFor(destination);
        peer.Recipients.Enqueue(new WaitingRecipient(0, "user@example.net"));
        _transport.Enqueue(peer, Now);
    }

    private sealed class NoLog : ILogSink
    {
        public void Write(LogLevel level, string tag, int number, string text)
        {
        }
    }
}
