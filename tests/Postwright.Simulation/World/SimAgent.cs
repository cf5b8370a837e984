using Microsoft.Win32.SafeHandles;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Agent;
using Postwright.Simulation.Engine;
using Postwright.Simulation.Ledger;

namespace Postwright.Simulation.World;

/// <summary>
/// One agent process. Behind it stand the world's mailboxes instead of files; the frames, and mail's side of the conversation, are
/// the real ones. It outlives a killed mail process and finishes what it has begun; it can be killed itself, at any moment.
/// </summary>
internal sealed class SimAgent
{
    private readonly SimWorld _world;
    private readonly Rng _chance;
    private readonly Mailboxes _mailboxes;
    private readonly SimContext _context;
    private readonly List<Line> _lines = [];
    private bool _finishing;

    public SimAgent(SimWorld world, int number)
    {
        _world = world;
        _chance = Rng.Of(world.Plan.Seed, 700 + (ulong)number);
        _context = new SimContext(world.Scheduler);
        _mailboxes = new Mailboxes(world, new SimTime(_context, SimWorld.Start), _chance);
    }

    /// <summary>A mail process opens a connection.</summary>
    public IAgentConnection Connect(Life life)
    {
        if (_finishing || _context.IsDead)
        {
            throw new IOException("connect to private/agent: Connection refused");
        }

        Line line = new(this, life);
        _lines.Add(line);
        return line;
    }

    /// <summary>kill -9, or the machine's end. What it has delivered and not said may be delivered again.</summary>
    public void Kill()
    {
        _context.Kill();
        foreach (Line line in _lines)
        {
            line.End();
        }

        _lines.Clear();
    }

    /// <summary>Its master is gone: it takes nothing new, and has this long for what it has begun.</summary>
    public void Finish(TimeSpan limit)
    {
        _finishing = true;
        _world.Network.After(limit, Kill);
    }

    private void Take(Line line, ReadOnlyMemory<byte> frame, SafeFileHandle? file) => _context.Run(() => ServeAsync(line, frame.ToArray(), file));

    private async void ServeAsync(Line line, byte[] frame, SafeFileHandle? file)
    {
        AgentRequest request = AgentFrames.Decode(frame, file);
        byte[] content = new byte[request.Content.Length];
        for (int done = 0; done < content.Length;)
        {
            int count = request.Content.Read(done, content.AsSpan(done));
            done += count > 0 ? count : throw new SimulationException("mail sent content that is shorter than it says");
        }

        request.Content.Dispose();
        List<RecipientResult> results = [];
        foreach (AgentRecipient recipient in request.Recipients)
        {
            results.Add(_finishing
                ? new RecipientResult(recipient.Index, DeliveryStatus.Deferred, "4.3.2", "delivery interrupted by shutdown", request.Service)
                : await _mailboxes.DeliverAsync(request, recipient, content, line.Life, line.Effects));
        }

        // A result says by its index whose it is, so any order is good.
        int first = _chance.Next(results.Count);
        line.Answer(AgentFrames.Encode([.. results[first..], .. results[..first]]));
    }

    /// <summary>A unix-domain socket between a mail process and this agent: what was sent arrives, unless its reader dies first.</summary>
    private sealed class Line(SimAgent agent, Life life) : IAgentConnection
    {
        private readonly Queue<byte[]> _answers = new();
        private TaskCompletionSource? _wake;
        private bool _agentIsGone;

        public Life Life => life;

        /// <summary>What the request under way has done.</summary>
        public List<Effect> Effects { get; } = [];

        public uint? PeerUser => 0;

        public ValueTask SendAsync(ReadOnlyMemory<byte> frame, SafeFileHandle? file)
        {
            if (_agentIsGone)
            {
                throw new IOException("send: Broken pipe");
            }

            agent.Take(this, frame, file is null ? null : Copy(file));
            return ValueTask.CompletedTask;
        }

        public async ValueTask<byte[]?> ReceiveAsync(int limit)
        {
            while (_answers.Count == 0 && !_agentIsGone)
            {
                _wake = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                await _wake.Task;
            }

            return _answers.TryDequeue(out byte[]? answer)
                ? answer.Length <= limit ? answer : throw new IOException("the frame is too large")
                : null;
        }

        /// <summary>Mail closes the connection.</summary>
        public void Dispose()
        {
            life.AgentConnections--;
            agent._lines.Remove(this);
        }

        public void Answer(byte[] frame)
        {
            if (!life.IsDead)
            {
                Effects.ForEach(static effect => effect.Answered());
            }

            Effects.Clear();
            _answers.Enqueue(frame);
            _wake?.TrySetResult();
        }

        /// <summary>The agent has died.</summary>
        public void End()
        {
            _agentIsGone = true;
            Effects.ForEach(static effect => effect.IsForgotten = true);
            _wake?.TrySetResult();
        }

        // The receiver has a descriptor of its own.
        private static SafeFileHandle Copy(SafeFileHandle file) => File.OpenHandle($"/proc/self/fd/{file.DangerousGetHandle()}");
    }
}
