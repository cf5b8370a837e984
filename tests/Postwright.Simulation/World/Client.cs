using System.Globalization;
using System.Net;
using System.Text;
using Postwright.Core.Seams;
using Postwright.Simulation.Engine;
using Postwright.Simulation.Ledger;

namespace Postwright.Simulation.World;

/// <summary>
/// A client that has some messages to send and tries until each recipient was taken or refused. It believes only what it
/// reads: where the reply to the final dot is lost, it sends again.
/// </summary>
internal sealed class Client(SimWorld world, IReadOnlyList<MessagePlan> messages, Rng chance)
{
    private readonly Dictionary<int, List<string>> _open = messages.ToDictionary(static message => message.Number, static message => message.Recipients.ToList());
    private readonly Dictionary<int, int> _attempts = [];

    /// <summary>True when every recipient was taken or refused.</summary>
    public bool IsDone => _open.Count == 0;

    public async void Run()
    {
        while (!IsDone)
        {
            IConnection? connection = null;
            SimTimerPatience? patience = null;
            try
            {
                connection = await world.Network.For(world.Context, IPAddress.Parse("10.0.0.9")).ConnectAsync(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 25), null, CancellationToken.None);
                patience = new SimTimerPatience(world, connection);
                await SessionAsync(connection, patience);
                await connection.DisposeAsync();
            }
            catch (Exception failure) when (failure is IOException or System.Net.Sockets.SocketException)
            {
                connection?.Abort();
            }
            finally
            {
                patience?.Dispose();
            }

            if (!IsDone)
            {
                await Task.Delay(TimeSpan.FromSeconds(chance.Between(1, 400)), world.Time);
            }
        }
    }

    private async Task SessionAsync(IConnection connection, SimTimerPatience patience)
    {
        WireReader reader = new(connection);
        if ((await patience.Reply(reader)).Code != 220 || (await CommandAsync(connection, reader, patience, "EHLO client.example")).Code != 250)
        {
            return;
        }

        bool pipelines = chance.Percent(50);
        foreach (MessagePlan message in messages.Where(message => _open.ContainsKey(message.Number)).ToArray())
        {
            if (chance.Percent(20))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(chance.Between(1, 20_000)), world.Time);
            }

            if (!await SendAsync(connection, reader, patience, message, pipelines))
            {
                break;
            }
        }

        await CommandAsync(connection, reader, patience, "QUIT");
    }

    /// <summary>One transaction; false if the session is of no more use.</summary>
    private async Task<bool> SendAsync(IConnection connection, WireReader reader, SimTimerPatience patience, MessagePlan message, bool pipelines)
    {
        List<string> open = _open[message.Number];
        int attempt = _attempts[message.Number] = _attempts.GetValueOrDefault(message.Number) + 1;
        List<string> commands = [$"MAIL FROM:<{message.Sender}>", .. open.Select(static recipient => $"RCPT TO:<{recipient}>"), "DATA"];
        List<string> accepted = [];
        List<string> refused = [];
        if (pipelines)
        {
            await connection.SendAsync(Encoding.ASCII.GetBytes(string.Join("\r\n", commands) + "\r\n"), CancellationToken.None);
        }

        int last = 0;
        bool begun = false;
        for (int i = 0; i < commands.Count; i++)
        {
            if (!pipelines)
            {
                if (i == commands.Count - 1 && accepted.Count == 0)
                {
                    break;
                }

                await connection.SendAsync(Encoding.ASCII.GetBytes(commands[i] + "\r\n"), CancellationToken.None);
            }

            last = (await patience.Reply(reader)).Code;
            if (last is 0 or -1 or 421)
            {
                return false;
            }

            if (i == 0)
            {
                begun = last / 100 == 2;
                if (!begun && !pipelines)
                {
                    return true;
                }
            }
            else if (i < commands.Count - 1 && begun)
            {
                // Where MAIL was refused, what follows is refused for the want of it, which says nothing of a recipient.
                (last / 100 == 2 ? accepted : last / 100 == 5 ? refused : []).Add(open[i - 1]);
            }
        }

        world.Ledger.Refused(message, refused);
        open.RemoveAll(refused.Contains);
        if (last == 354)
        {
            return await ContentAsync(connection, reader, patience, message, attempt, accepted);
        }

        Close(message, open);
        await CommandAsync(connection, reader, patience, "RSET");
        return true;
    }

    private async Task<bool> ContentAsync(IConnection connection, WireReader reader, SimTimerPatience patience, MessagePlan message, int attempt, List<string> accepted)
    {
        byte[] content = Stuffed(Letter.Content(world.Plan.Seed, message, attempt));
        Transaction transaction = world.Ledger.Begin(message, attempt, accepted);
        for (int sent = 0; sent < content.Length;)
        {
            int count = chance.Percent(70) ? content.Length - sent : chance.Between(1, content.Length - sent);
            await connection.SendAsync(content.AsMemory(sent, count), CancellationToken.None);
            sent += count;
            if (chance.Percent(10))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(chance.Between(1, 5000)), world.Time);
            }
        }

        transaction.DotSent = true;
        await connection.SendAsync(".\r\n"u8.ToArray(), CancellationToken.None);
        if (chance.Percent(3))
        {
            world.Count("client leaves after the dot");
            connection.Abort();
            return false;
        }

        (int code, string text) = await patience.Reply(reader);
        if (code is 0 or -1)
        {
            return false;
        }

        (transaction.Code, transaction.DiskHadTrouble) = (code, world.HadDiskTrouble(world.Scheduler.Now));
        List<string> open = _open[message.Number];
        if (code / 100 == 2)
        {
            world.Ledger.SeenByClient(transaction, text[(text.LastIndexOf(' ') + 1)..]);
            open.RemoveAll(accepted.Contains);
        }
        else if (code / 100 == 5)
        {
            world.Ledger.Refused(message, accepted);
            open.RemoveAll(accepted.Contains);
        }

        Close(message, open);
        return code != 421;
    }

    private void Close(MessagePlan message, List<string> open)
    {
        if (open.Count == 0)
        {
            _open.Remove(message.Number);
        }
    }

    private static async Task<(int Code, string Text)> CommandAsync(IConnection connection, WireReader reader, SimTimerPatience patience, string command)
    {
        await connection.SendAsync(Encoding.ASCII.GetBytes(command + "\r\n"), CancellationToken.None);
        return await patience.Reply(reader);
    }

    private static byte[] Stuffed(byte[] content)
    {
        List<byte> wire = new(content.Length + 100);
        for (int i = 0; i < content.Length; i++)
        {
            if (content[i] == '.' && (i == 0 || content[i - 1] == '\n'))
            {
                wire.Add((byte)'.');
            }

            wire.Add(content[i]);
        }

        return [.. wire];
    }

    /// <inheritdoc />
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"client of {string.Join(", ", _open.Select(open => $"m{open.Key}: {string.Join(' ', open.Value)}"))}");

    /// <summary>A client hangs up when it hears nothing for five minutes.</summary>
    private sealed class SimTimerPatience : IDisposable
    {
        private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);
        private readonly ITimer _timer;

        public SimTimerPatience(SimWorld world, IConnection connection) =>
            _timer = world.Time.CreateTimer(_ => connection.Abort(), null, Limit, Timeout.InfiniteTimeSpan);

        public async Task<(int Code, string Text)> Reply(WireReader reader)
        {
            _timer.Change(Limit, Timeout.InfiniteTimeSpan);
            return await reader.ReplyAsync();
        }

        public void Dispose() => _timer.Dispose();
    }
}
