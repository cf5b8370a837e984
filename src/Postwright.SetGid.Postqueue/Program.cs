return Postwright.Commands.Postqueue.Run(args);
