namespace Postwright.Simulation.Engine;

/// <summary>The world cannot go on, or a promise was broken.</summary>
internal sealed class SimulationException(string message) : Exception(message);
