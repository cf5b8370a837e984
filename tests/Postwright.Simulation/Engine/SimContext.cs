namespace Postwright.Simulation.Engine;

/// <summary>
/// Where the continuations of one process, or of the world around it, go. When the process dies, nothing that belongs to it
/// runs any more.
/// </summary>
internal sealed class SimContext(Scheduler scheduler) : SynchronizationContext
{
    public bool IsDead { get; private set; }

    public Scheduler Scheduler => scheduler;

    public override void Post(SendOrPostCallback d, object? state) => scheduler.Post(this, d, state);

    public override void Send(SendOrPostCallback d, object? state) => throw new SimulationException("Send would run out of turn");

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs <paramref name="work"/> as a step of its own.</summary>
    public void Run(Action work) => scheduler.Post(this, static state => ((Action)state!)(), work);

    public void Kill() => IsDead = true;
}
