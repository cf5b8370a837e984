using System.Net;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.Network;

/// <summary>A connection: two ends and what is under way between them.</summary>
internal sealed class SimLink
{
    private readonly SimNetwork _network;
    private readonly Direction _up;
    private readonly Direction _down;

    public SimLink(SimNetwork network, SimContext client, SimContext server, EndPoint clientPoint, EndPoint serverPoint, int number)
    {
        _network = network;
        Number = number;
        Client = new SimEnd(this, client, clientPoint, serverPoint);
        Server = new SimEnd(this, server, serverPoint, clientPoint);
        _up = new Direction(Server);
        _down = new Direction(Client);
    }

    public int Number { get; }

    public SimEnd Client { get; }

    public SimEnd Server { get; }

    /// <summary>Each piece takes up to so long; zero arrives in the next steps.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Nothing arrives any more, in either direction, and nobody is told.</summary>
    public bool IsHalfOpen { get; private set; }

    public long Now => _network.Scheduler.Now;

    public bool IsOver => Client.IsOver && Server.IsOver;

    public SimEnd Other(SimEnd end) => end == Client ? Server : Client;

    public long UnderWay(SimEnd from) => (from == Client ? _up : _down).Bytes;

    /// <summary>Both ends find the connection reset; what was under way is lost.</summary>
    public void Cut()
    {
        _up.Clear();
        _down.Clear();
        Client.ArriveReset();
        Server.ArriveReset();
    }

    public void Silence() => IsHalfOpen = true;

    public void Carry(SimEnd from, ReadOnlySpan<byte> bytes)
    {
        _network.Scheduler.History.Mix(bytes);
        _network.Scheduler.Touch();
        if (IsHalfOpen)
        {
            (from == Client ? _up : _down).Lose(bytes.Length);
            return;
        }

        while (!bytes.IsEmpty)
        {
            // Most pieces arrive whole; some are cut anywhere.
            int count = bytes.Length > 1 && _network.Chance.Percent(12) ? _network.Chance.Between(1, bytes.Length - 1) : bytes.Length;
            Enqueue(from, new Piece(bytes[..count].ToArray(), false));
            bytes = bytes[count..];
        }
    }

    public void CarryEnd(SimEnd from) => Enqueue(from, new Piece(null, false));

    public void CarryReset(SimEnd from) => Enqueue(from, new Piece(null, true));

    public void Closed(SimEnd end)
    {
        if (Other(end).IsOver)
        {
            _network.Forget(this);
        }
    }

    private void Enqueue(SimEnd from, Piece piece)
    {
        if (IsHalfOpen)
        {
            return;
        }

        Direction way = from == Client ? _up : _down;
        way.Add(piece);
        SimContext world = _network.WorldContext;
        if (Delay == TimeSpan.Zero)
        {
            world.Run(() => Arrive(way));
        }
        else
        {
            _network.After(TimeSpan.FromTicks(_network.Chance.Between(0, Delay.Ticks)), () => Arrive(way));
        }
    }

    private void Arrive(Direction way)
    {
        if (IsHalfOpen || !way.TryTake(out Piece piece))
        {
            return;
        }

        if (piece.Bytes is { } bytes)
        {
            way.To.Arrive(bytes);
        }
        else if (piece.IsReset)
        {
            way.To.ArriveReset();
        }
        else
        {
            way.To.ArriveEnd();
        }
    }

    private readonly record struct Piece(byte[]? Bytes, bool IsReset);

    private sealed class Direction(SimEnd to)
    {
        private readonly Queue<Piece> _pieces = new();

        public SimEnd To { get; } = to;

        public long Bytes { get; private set; }

        public void Add(Piece piece)
        {
            _pieces.Enqueue(piece);
            Bytes += piece.Bytes?.Length ?? 0;
        }

        public void Lose(int bytes) => Bytes += bytes;

        public bool TryTake(out Piece piece)
        {
            bool found = _pieces.TryDequeue(out piece);
            Bytes -= piece.Bytes?.Length ?? 0;
            return found;
        }

        public void Clear()
        {
            _pieces.Clear();
            Bytes = 0;
        }
    }
}
